//! Base64, hexadecimal, character sets, URLs and digests.

use arrow::datatypes::DataType;

use super::Call;
use super::rows::{call as row, coerce};
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, spark, spark_hint};

const T: DataType = DataType::Utf8;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0_u8, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..4 {
            if place <= chunk.len() {
                let six = usize::try_from(word >> (18 - 6 * place) & 63).unwrap_or(0);
                out.push(char::from(ALPHABET[six]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Bytes of base64 as Java's MIME decoder takes it, which passes over what is no digit; `None` when digits are missing.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits, mut digits) = (0_u32, 0_u32, 0_usize);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let Some(six) = six_bits(byte) else { continue };
        digits += 1;
        word = word << 6 | six;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(word >> bits & 0xff).ok()?);
        }
    }
    (digits % 4 != 1).then_some(out)
}

fn six_bits(byte: u8) -> Option<u32> {
    ALPHABET.iter().position(|known| *known == byte).and_then(|six| u32::try_from(six).ok())
}

/// [`unbase64`] of a text in which every character is a digit, white space or padding to whole groups of four.
pub(crate) fn strict_unbase64(text: &str) -> Option<Vec<u8>> {
    let mut seen = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let digits = seen.by_ref().take_while(|byte| *byte != b'=').try_fold(0_usize, |count, byte| {
        six_bits(byte)?;
        Some(count + 1)
    })?;
    let padding = text.bytes().filter(|byte| *byte == b'=').count();
    ((digits + padding).is_multiple_of(4) && padding <= 2 && seen.all(|byte| byte == b'=')).then(|| unbase64(text))?
}

/// Upper-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes of hexadecimal, an odd digit first; `None` when it is malformed.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    if !padded.is_ascii() {
        return None;
    }
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(padded.get(at..at + 2)?, 16).ok()).collect()
}

fn charset_encode(text: &str, charset: &str) -> Result<Vec<u8>> {
    let unmappable = || spark("MALFORMED_CHARACTER_CODING", format!("the text has characters that {charset} lacks"));
    Ok(match charset.to_ascii_uppercase().as_str() {
        "UTF-8" => text.as_bytes().to_vec(),
        "US-ASCII" if text.is_ascii() => text.as_bytes().to_vec(),
        "US-ASCII" => return Err(unmappable()),
        "ISO-8859-1" => {
            text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| unmappable())).collect::<Result<_>>()?
        }
        "UTF-16BE" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "UTF-16LE" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16" => [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
        _ => {
            return Err(spark_hint(
                "INVALID_PARAMETER_VALUE.CHARSET",
                format!("the charset '{charset}' is not known"),
                "use UTF-8, UTF-16, UTF-16BE, UTF-16LE, US-ASCII or ISO-8859-1",
            ));
        }
    })
}

fn charset_decode(bytes: &[u8], charset: &str) -> Result<String> {
    let malformed = || spark("MALFORMED_CHARACTER_CODING", format!("the bytes are not {charset}"));
    let units = |big: bool| -> Vec<u16> {
        bytes
            .chunks(2)
            .map(|pair| {
                if big {
                    u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])
                } else {
                    u16::from_le_bytes([pair[0], *pair.get(1).unwrap_or(&0)])
                }
            })
            .collect()
    };
    match charset.to_ascii_uppercase().as_str() {
        "UTF-8" => String::from_utf8(bytes.to_vec()).map_err(|_| malformed()),
        "US-ASCII" if bytes.is_ascii() => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        "US-ASCII" => Err(malformed()),
        "ISO-8859-1" => Ok(bytes.iter().map(|b| char::from(*b)).collect()),
        "UTF-16BE" | "UTF-16" => String::from_utf16(&units(true)).map_err(|_| malformed()),
        "UTF-16LE" => String::from_utf16(&units(false)).map_err(|_| malformed()),
        _ => Err(spark("INVALID_PARAMETER_VALUE.CHARSET", format!("the charset '{charset}' is not known"))),
    }
}

fn url_decode(text: &str) -> Result<String> {
    let bad = || spark("CANNOT_DECODE_URL", format!("the URL cannot be decoded: {text}"));
    let mut bytes = Vec::new();
    let raw = text.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        match raw[at] {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = text.get(at + 1..at + 3).ok_or_else(bad)?;
                bytes.push(u8::from_str_radix(pair, 16).map_err(|_| bad())?);
                at += 2;
            }
            other => bytes.push(other),
        }
        at += 1;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn digest(binder: &Binder, call: &mut Call<'_>, text: String) -> Result<Option<Bound>> {
    use datafusion::functions::crypto;
    let name = call.name;
    call.arity(if name == "sha2" { 2 } else { 1 }, if name == "sha2" { 2 } else { 1 })?;
    let mut values = std::mem::take(&mut call.args).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = binder.implicit(value, &DataType::Binary, &text)?;
    Ok(Some(match name {
        "md5" => binder.native(crypto::md5(), vec![value], text)?,
        "sha1" | "sha" => binder.native(datafusion_spark::function::hash::sha1(), vec![value], text)?,
        "crc32" => binder.native(datafusion_spark::function::hash::crc32(), vec![value], text)?,
        _ => {
            let Some(bits) = values.next() else { return Ok(None) };
            let bits = binder.implicit(bits, &DataType::Int32, &text)?;
            binder.native(datafusion_spark::function::hash::sha2(), vec![value, bits], text)?
        }
    }))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    let name = call.name;
    let args = |call: &mut Call<'_>, required: usize, tys: &[DataType]| coerce(binder, call, required, tys);
    let bound = match name {
        "base64" => {
            call.arity(1, 1)?;
            let values = call
                .args
                .iter()
                .map(|arg| binder.implicit(arg.clone(), &DataType::Binary, &text))
                .collect::<Result<Vec<_>>>()?;
            row(name, "", values, |r| Ok(Some(base64(r.bytes(0)))))
        }
        "unbase64" => row(name, "", args(call, 1, &[T])?, |r| {
            unbase64(r.text(0))
                .map(Some)
                .ok_or_else(|| spark("CONVERSION_INVALID_INPUT", format!("the value '{}' is no BASE64", r.text(0))))
        }),
        "hex" => {
            call.arity(1, 1)?;
            match &call.args[0].ty {
                DataType::Binary => row(name, "b", args(call, 1, &[DataType::Binary])?, |r| Ok(Some(hex(r.bytes(0))))),
                DataType::Utf8 => row(name, "t", args(call, 1, &[T])?, |r| Ok(Some(hex(r.text(0).as_bytes())))),
                _ => row(name, "i", args(call, 1, &[DataType::Int64])?, |r| Ok(Some(format!("{:X}", r.long(0))))),
            }
        }
        "unhex" => row(name, "", args(call, 1, &[T])?, |r| Ok(unhex(r.text(0)))),
        "encode" => row(name, "", args(call, 2, &[T, T])?, |r| charset_encode(r.text(0), r.text(1)).map(Some)),
        "decode" => {
            row(name, "", args(call, 2, &[DataType::Binary, T])?, |r| charset_decode(r.bytes(0), r.text(1)).map(Some))
        }
        "md5" | "sha1" | "sha" | "crc32" | "sha2" => return digest(binder, call, text),
        "url_encode" => row(name, "", args(call, 1, &[T])?, |r| {
            let out = r.text(0).bytes().map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => char::from(b).to_string(),
                b' ' => "+".to_owned(),
                b => format!("%{b:02X}"),
            });
            Ok(Some(out.collect::<String>()))
        }),
        "url_decode" => row(name, "", args(call, 1, &[T])?, |r| url_decode(r.text(0)).map(Some)),
        "is_valid_utf8" => row(name, "", args(call, 1, &[T])?, |_| Ok(Some(true))),
        _ => return Ok(None),
    };
    Ok(Some(bound.named(text)))
}
