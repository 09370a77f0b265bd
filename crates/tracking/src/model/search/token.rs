//! Page tokens and page sizes.
//!
//! A token says behind which row the next page begins, by the values of that row's keys, so a page costs the same wherever
//! it is, and rows that come and go meanwhile neither repeat others nor hide them. Clients carry it as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crannog_types::{Problem, Result};
use serde_json::{Value as Json, json};

use super::python;

/// Where a page ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PageToken {
    /// Of which order: a token is good for no other.
    pub order: String,
    /// The part of the order that the last row was in.
    pub segment: usize,
    /// The last row's keys.
    pub keys: Vec<KeyValue>,
}

/// One key of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// Not there.
    Missing,
    /// Not a number.
    Nan,
    /// A whole number.
    Int(i64),
    /// A number with a fraction, finite.
    Real(f64),
    /// A text.
    Text(String),
}

impl PageToken {
    /// As clients carry it: base64 with padding, over JSON.
    pub fn encode(&self) -> String {
        let keys: Vec<Json> = self
            .keys
            .iter()
            .map(|key| match key {
                KeyValue::Missing => Json::Null,
                KeyValue::Nan => json!({ "nan": true }),
                KeyValue::Int(number) => json!({ "i": number }),
                // In bits: no digit is lost on the way.
                KeyValue::Real(number) => json!({ "r": number.to_bits().cast_signed() }),
                KeyValue::Text(text) => json!({ "t": text }),
            })
            .collect();
        STANDARD.encode(json!({ "order": self.order, "segment": self.segment, "after": keys }).to_string())
    }

    /// Reads a token.
    ///
    /// # Errors
    /// In MLflow's words, that it is none.
    pub fn decode(token: &str) -> Result<PageToken> {
        let bytes =
            STANDARD.decode(token).map_err(|_| Problem::invalid("Invalid page token, could not base64-decode"))?;
        let parsed: Json = serde_json::from_slice(&bytes).map_err(|_| {
            Problem::invalid(format!("Invalid page token, decoded value={}", python::repr_bytes(&bytes)))
        })?;
        Self::of(&parsed).ok_or_else(|| Problem::invalid(format!("Invalid page token, parsed value={parsed}")))
    }

    fn of(parsed: &Json) -> Option<PageToken> {
        let key = |json: &Json| {
            if json.is_null() {
                return Some(KeyValue::Missing);
            }
            let (name, value) = json.as_object()?.iter().next()?;
            Some(match name.as_str() {
                "nan" => KeyValue::Nan,
                "i" => KeyValue::Int(value.as_i64()?),
                "r" => KeyValue::Real(Some(f64::from_bits(value.as_i64()?.cast_unsigned())).filter(|r| r.is_finite())?),
                "t" => KeyValue::Text(value.as_str()?.to_owned()),
                _ => return None,
            })
        };
        Some(PageToken {
            order: parsed.get("order")?.as_str()?.to_owned(),
            segment: usize::try_from(parsed.get("segment")?.as_u64()?).ok()?,
            keys: parsed.get("after")?.as_array()?.iter().map(key).collect::<Option<_>>()?,
        })
    }
}

/// The most that a search over runs or experiments gives at once.
const MOST: i64 = 50_000;

/// How many runs or experiments may be asked for at once: 1 to 50,000.
///
/// # Errors
/// In MLflow's words.
pub fn tracking_max_results(wanted: i64) -> Result<i64> {
    let what = if wanted < 1 {
        "a positive integer".to_owned()
    } else if wanted > MOST {
        format!("at most {MOST}")
    } else {
        return Ok(wanted);
    };
    Err(Problem::invalid(format!("Invalid value {wanted} for parameter 'max_results' supplied. It must be {what}")))
}

/// How many registered models (`most` 1,000) or versions (200,000) may be asked for at once.
///
/// # Errors
/// In MLflow's words.
pub fn at_most(wanted: i64, most: i64) -> Result<i64> {
    if wanted < 1 {
        return Err(Problem::invalid(format!(
            "Invalid value for max_results. It must be a positive integer, but got {wanted}"
        )));
    }
    if wanted > most {
        return Err(Problem::invalid(format!(
            "Invalid value for request parameter max_results. It must be at most {most}, but got value {wanted}"
        )));
    }
    Ok(wanted)
}
