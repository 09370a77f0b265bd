//! `hash` (Murmur3) and `xxhash64`, as Spark computes them over its own representation of a value.
//!
//! Both fold the arguments into one seed of 42; a NULL leaves the seed as it is. Spark's Murmur3 differs from the common
//! one in the last bytes of a text, which it mixes in one by one. Source: Spark's `Murmur3_x86_32` and `XXH64`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalUnit, IntervalYearMonthType, TimestampMicrosecondType,
};

use super::Call;
use crate::bind::Bound;
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::kernel;

/// A hash function over the forms that values take.
trait Hash: Copy {
    fn int(value: i32, seed: Self) -> Self;
    fn long(value: i64, seed: Self) -> Self;
    fn bytes(value: &[u8], seed: Self) -> Self;
}

fn mix_word(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn mix_state(state: u32, word: u32) -> u32 {
    (state ^ mix_word(word)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(state: u32, length: u32) -> u32 {
    let mut state = state ^ length;
    state = (state ^ state >> 16).wrapping_mul(0x85eb_ca6b);
    state = (state ^ state >> 13).wrapping_mul(0xc2b2_ae35);
    state ^ state >> 16
}

/// Murmur3 of whole words.
pub(super) fn murmur3(bytes: &[u8; 8], seed: u32) -> u32 {
    <u32 as Hash>::bytes(bytes, seed)
}

impl Hash for u32 {
    fn int(value: i32, seed: u32) -> u32 {
        finish(mix_state(seed, value.cast_unsigned()), 4)
    }
    fn long(value: i64, seed: u32) -> u32 {
        let bytes = value.to_le_bytes();
        let low = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let high = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        finish(mix_state(mix_state(seed, low), high), 8)
    }
    fn bytes(value: &[u8], seed: u32) -> u32 {
        let (words, tail) = value.as_chunks::<4>();
        let state = words.iter().fold(seed, |state, word| mix_state(state, u32::from_le_bytes(*word)));
        let state =
            tail.iter().fold(state, |state, byte| mix_state(state, i32::from(byte.cast_signed()).cast_unsigned()));
        finish(state, u32::try_from(value.len()).unwrap_or(u32::MAX))
    }
}

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

fn round(state: u64, word: u64) -> u64 {
    state.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn fold_eight(state: u64, word: u64) -> u64 {
    (state ^ round(0, word)).rotate_left(27).wrapping_mul(P1).wrapping_add(P4)
}

fn fold_four(state: u64, word: u32) -> u64 {
    (state ^ u64::from(word).wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3)
}

fn avalanche(state: u64) -> u64 {
    let state = (state ^ state >> 33).wrapping_mul(P2);
    let state = (state ^ state >> 29).wrapping_mul(P3);
    state ^ state >> 32
}

impl Hash for u64 {
    fn int(value: i32, seed: u64) -> u64 {
        Self::bytes(&value.to_le_bytes(), seed)
    }
    fn long(value: i64, seed: u64) -> u64 {
        Self::bytes(&value.to_le_bytes(), seed)
    }
    fn bytes(value: &[u8], seed: u64) -> u64 {
        let (blocks, rest) = value.as_chunks::<32>();
        let mut state = if blocks.is_empty() {
            seed.wrapping_add(P5)
        } else {
            let mut lanes =
                [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
            for block in blocks {
                for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                    *lane = round(*lane, u64::from_le_bytes(*word));
                }
            }
            let turned = [1, 7, 12, 18].iter().zip(lanes);
            let sum = turned.fold(0_u64, |sum, (by, lane)| sum.wrapping_add(lane.rotate_left(*by)));
            lanes.iter().fold(sum, |state, lane| (state ^ round(0, *lane)).wrapping_mul(P1).wrapping_add(P4))
        };
        state = state.wrapping_add(value.len() as u64);
        let (eights, rest) = rest.as_chunks::<8>();
        state = eights.iter().fold(state, |state, word| fold_eight(state, u64::from_le_bytes(*word)));
        let (fours, rest) = rest.as_chunks::<4>();
        state = fours.iter().fold(state, |state, word| fold_four(state, u32::from_le_bytes(*word)));
        state = rest
            .iter()
            .fold(state, |state, byte| (state ^ u64::from(*byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1));
        avalanche(state)
    }
}

/// The shortest two's complement of a number, highest byte first (Java's `BigInteger.toByteArray`).
fn shortest(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0 };
    let mut from = 0;
    while from < 15 && bytes[from] == sign && (bytes[from + 1] ^ sign) < 0x80 {
        from += 1;
    }
    bytes[from..].to_vec()
}

fn value<H: Hash>(array: &ArrayRef, row: usize, seed: H) -> Result<H> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Ok(seed);
    }
    Ok(match array.data_type() {
        DataType::Boolean => H::int(i32::from(array.as_boolean().value(row)), seed),
        DataType::Int8 => H::int(i32::from(array.as_primitive::<Int8Type>().value(row)), seed),
        DataType::Int16 => H::int(i32::from(array.as_primitive::<Int16Type>().value(row)), seed),
        DataType::Int32 => H::int(array.as_primitive::<Int32Type>().value(row), seed),
        DataType::Int64 => H::long(array.as_primitive::<Int64Type>().value(row), seed),
        DataType::Date32 => H::int(array.as_primitive::<Date32Type>().value(row), seed),
        DataType::Timestamp(..) => H::long(array.as_primitive::<TimestampMicrosecondType>().value(row), seed),
        DataType::Duration(_) => H::long(array.as_primitive::<DurationMicrosecondType>().value(row), seed),
        DataType::Interval(IntervalUnit::YearMonth) => {
            H::int(array.as_primitive::<IntervalYearMonthType>().value(row), seed)
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            let bits = if value == 0.0 {
                0
            } else if value.is_nan() {
                f32::NAN.to_bits()
            } else {
                value.to_bits()
            };
            H::int(bits.cast_signed(), seed)
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            let bits = if value == 0.0 {
                0
            } else if value.is_nan() {
                f64::NAN.to_bits()
            } else {
                value.to_bits()
            };
            H::long(bits.cast_signed(), seed)
        }
        DataType::Decimal128(precision, _) => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row);
            match i64::try_from(unscaled) {
                Ok(small) if *precision <= 18 => H::long(small, seed),
                _ => H::bytes(&shortest(unscaled), seed),
            }
        }
        DataType::Utf8 => H::bytes(array.as_string::<i32>().value(row).as_bytes(), seed),
        DataType::Binary => H::bytes(array.as_binary::<i32>().value(row), seed),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).try_fold(seed, |seed, at| value(&items, at, seed))?
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().try_fold(seed, |seed, column| value(column, row, seed))?
        }
        other => return Err(unsupported(format!("the hash of type {other}"))),
    })
}

fn has_map(ty: &DataType) -> bool {
    match ty {
        DataType::Map(..) => true,
        DataType::List(field) => has_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}

fn rows<H: Hash>(columns: &[ArrayRef], rows: usize, seed: H) -> Result<Vec<H>> {
    (0..rows).map(|row| columns.iter().try_fold(seed, |seed, column| value(column, row, seed))).collect()
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(call: &mut Call<'_>) -> Result<Option<Bound>> {
    if !matches!(call.name, "hash" | "xxhash64") {
        return Ok(None);
    }
    let text = call.text();
    call.arity(1, usize::MAX)?;
    if call.args.iter().any(|arg| has_map(&arg.ty)) {
        return Err(spark(
            "DATATYPE_MISMATCH.HASH_MAP_TYPE",
            format!("cannot resolve \"{text}\": maps have no hash, since equal maps may differ in order"),
        ));
    }
    let exprs = std::mem::take(&mut call.args).into_iter().map(|arg| arg.expr).collect();
    let (ty, expr) = if call.name == "hash" {
        let expr = kernel::pure("hash", "", DataType::Int32, exprs, |columns, count| {
            let hashes = rows::<u32>(columns, count, 42)?;
            Ok(Arc::new(hashes.into_iter().map(|hash| Some(hash.cast_signed())).collect::<Int32Array>()))
        });
        (DataType::Int32, expr)
    } else {
        let expr = kernel::pure("xxhash64", "", DataType::Int64, exprs, |columns, count| {
            let hashes = rows::<u64>(columns, count, 42)?;
            Ok(Arc::new(hashes.into_iter().map(|hash| Some(hash.cast_signed())).collect::<Int64Array>()))
        });
        (DataType::Int64, expr)
    };
    Ok(Some(Bound::new(expr, ty, text)))
}
