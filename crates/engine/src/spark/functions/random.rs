//! `rand`, `randn`, `uniform`: numbers drawn row by row.
//!
//! With a seed they are those that Spark draws for the rows of its first partition, as far as rows come in one stream: its
//! `XORShiftRandom` under Java's `Random`. Not for secrets.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::{Call, hashes};
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::arithmetic::{Op, operate};
use crate::spark::casts::Mode;
use crate::spark::error::{Result, spark_hint};
use crate::spark::{kernel, types};

/// Spark's `XORShiftRandom`.
struct Draws {
    state: i64,
    /// The second of a pair of normal draws.
    spare: Option<f64>,
}

impl Draws {
    fn new(seed: i64) -> Self {
        let bytes = seed.to_be_bytes();
        // The seed of an array's hash in Scala's `MurmurHash3`.
        let low = hashes::murmur3(&bytes, 0x3c07_4a61);
        let high = hashes::murmur3(&bytes, low);
        Draws { state: (u64::from(high) << 32 | u64::from(low)).cast_signed(), spare: None }
    }

    fn bits(&mut self, count: u32) -> i64 {
        let mut state = self.state ^ self.state << 21;
        state ^= (state.cast_unsigned() >> 35).cast_signed();
        state ^= state << 4;
        self.state = state;
        state & ((1 << count) - 1)
    }

    /// From 0 to 1, without 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
    fn uniform(&mut self) -> f64 {
        let bits = (self.bits(26) << 27) + self.bits(27);
        bits as f64 / (1_i64 << 53) as f64
    }

    /// Normal with mean 0 and deviation 1, by the polar method of `java.util.Random`.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = a * a + b * b;
            if square < 1.0 && square != 0.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(b * scale);
                return a * scale;
            }
        }
    }
}

/// Binds the call if it is one of these functions.
pub(super) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let (text, name) = (call.text(), call.name);
    Ok(Some(match name {
        "rand" | "random" | "randn" => {
            call.arity(0, 1)?;
            let seed = seed_of(call.args.first(), &text)?;
            draws(binder, name, seed).named(text)
        }
        "uniform" => {
            call.arity(2, 3)?;
            let mut args = std::mem::take(&mut call.args);
            let seed = seed_of(args.get(2), &text)?;
            args.truncate(2);
            for arg in &args {
                if !types::is_numeric(&arg.ty) || arg.as_literal().is_none() {
                    return Err(unexpected_type(&text, arg, "a literal number"));
                }
            }
            let (mut ends, ty) = binder.unify(args, name)?;
            let (Some(high), Some(low)) = (ends.pop(), ends.pop()) else { return Ok(None) };
            let double = |bound: Bound| binder.cast(bound, &DataType::Float64);
            let (low, high) = (double(low)?, double(high)?);
            let width = operate(binder, Op::Subtract, high, low.clone(), Mode::Ansi)?;
            let drawn = operate(binder, Op::Multiply, draws(binder, "rand", seed), width, Mode::Ansi)?;
            let sum = operate(binder, Op::Add, low, drawn, Mode::Ansi)?;
            binder.cast(sum, &ty)?.named(text)
        }
        _ => return Ok(None),
    }))
}

/// The seed that was given; `None`: none was.
fn seed_of(arg: Option<&Bound>, text: &str) -> Result<Option<i64>> {
    let Some(arg) = arg else { return Ok(None) };
    match (arg.as_literal(), arg.as_integer()) {
        (_, Some(seed)) => Ok(Some(seed)),
        (Some(ScalarValue::Null), None) => Ok(Some(0)),
        (Some(_), None) => Err(unexpected_type(text, arg, "INT or BIGINT")),
        (None, None) => Err(spark_hint(
            "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
            format!("cannot resolve \"{text}\": the seed is no literal"),
            "write a whole number",
        )),
    }
}

fn draws(binder: &Binder, name: &str, seed: Option<i64>) -> Bound {
    // A fresh keyed hasher is the standard library's source of randomness.
    let fresh = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8).cast_signed();
    let draws = Mutex::new(Draws::new(seed.unwrap_or_else(fresh)));
    let (normal, key) = (name == "randn", format!("{}", binder.fresh()));
    let expr = kernel::volatile(name, key, DataType::Float64, Vec::new(), move |_, rows| {
        let mut draws = draws.lock().unwrap_or_else(PoisonError::into_inner);
        let mut draw = || if normal { draws.normal() } else { draws.uniform() };
        Ok(Arc::new((0..rows).map(|_| draw()).collect::<Float64Array>()) as ArrayRef)
    });
    Bound::new(expr, DataType::Float64, name)
}

#[cfg(test)]
mod tests {
    use super::Draws;

    /// What Spark 4.2 gives for `rand(3)`; the golden answers have more.
    #[test]
    fn a_seed_draws_what_spark_draws() {
        let mut draws = Draws::new(3);
        assert!((draws.uniform() - 0.257_381_435_059_622_85).abs() < 1e-15);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&draws.uniform())));
        let mut draws = Draws::new(7);
        let normal: Vec<f64> = (0..10_000).map(|_| draws.normal()).collect();
        let mean = normal.iter().sum::<f64>() / 10_000.0;
        let square = normal.iter().map(|value| value * value).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.05, "{mean} {square}");
    }
}
