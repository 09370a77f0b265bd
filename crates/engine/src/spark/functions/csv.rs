//! CSV text of one record: `to_csv`, `from_csv`. A value that its column cannot take is NULL, as in Spark's PERMISSIVE mode.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::Call;
use super::json::schema;
use super::room::Room;
use super::rows::gather;
use crate::bind::{Binder, Bound, unexpected_type};
use crate::spark::casts::{self, Mode};
use crate::spark::error::{Result, spark, unsupported};
use crate::spark::{kernel, text, types};

const T: DataType = DataType::Utf8;

/// The fields of a record; a field of nothing is `None`.
fn fields(record: &str) -> Vec<Option<String>> {
    let mut all = Vec::new();
    let mut chars = record.chars().peekable();
    loop {
        let quoted = chars.next_if_eq(&'"').is_some();
        let mut field = String::new();
        let mut inside = quoted;
        let mut ended = true;
        while let Some(c) = chars.next() {
            match c {
                '\\' if inside && chars.peek().is_some_and(|next| matches!(next, '"' | '\\')) => {
                    field.extend(chars.next());
                }
                '"' if inside && chars.next_if_eq(&'"').is_some() => field.push('"'),
                '"' if inside => inside = false,
                ',' if !inside => {
                    ended = false;
                    break;
                }
                c => field.push(c),
            }
        }
        all.push((quoted || !field.is_empty()).then_some(field));
        if ended {
            return all;
        }
    }
}

fn quoted(out: &mut String, value: &str) {
    if value.is_empty() || value.contains(['"', ',', '\n', '\r']) || value.trim() != value {
        out.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    } else {
        out.push_str(value);
    }
}

fn to_csv(binder: &Binder, call: &mut Call<'_>, name: String) -> Result<Bound> {
    call.arity(1, 2)?;
    if call.args.len() == 2 {
        return Err(unsupported("to_csv with options"));
    }
    let arg = call.args.remove(0);
    let DataType::Struct(members) = arg.ty.clone() else { return Err(unexpected_type(&name, &arg, "STRUCT")) };
    if let Some(nested) = members.iter().find(|member| !types::is_atomic(member.data_type())) {
        return Err(spark(
            "DATATYPE_MISMATCH.UNSUPPORTED_INPUT_TYPE",
            format!("the field `{}` is nested, which CSV cannot hold", nested.name()),
        ));
    }
    let zone = binder.zone();
    let expr = kernel::pure("to_csv", format!("{zone:?}"), T, vec![arg.expr], move |columns, rows| {
        let (all, room) = (columns[0].as_struct(), Room::of(columns));
        gather(rows, &room, |row| {
            if all.is_null(row) {
                return Ok(None);
            }
            let mut out = String::new();
            for (at, column) in all.columns().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if let Some(value) = text::value(column, row, &zone)? {
                    quoted(&mut out, &value);
                }
                room.check(out.len())?;
            }
            Ok(Some(out))
        })
    });
    Ok(Bound::new(expr, T, name))
}

fn from_csv(binder: &Binder, call: &mut Call<'_>) -> Result<Bound> {
    call.arity(2, 3)?;
    if call.args.len() == 3 {
        return Err(unsupported("from_csv with options"));
    }
    let shape = call.args.remove(1);
    let Some(shape) = shape.as_text() else {
        return Err(spark("INVALID_SCHEMA.NON_STRING_LITERAL", "the schema of from_csv must be a literal string"));
    };
    let ty = schema(shape)?;
    let DataType::Struct(members) = ty.clone() else {
        return Err(spark("INVALID_SCHEMA.NON_STRUCT_TYPE", "the schema of from_csv must be a struct"));
    };
    let arg = call.args.remove(0);
    let name = format!("from_csv({})", arg.name);
    let arg = binder.implicit(arg, &T, &name)?;
    let zone = binder.zone();
    let expr = kernel::pure("from_csv", format!("{zone:?}"), ty.clone(), vec![arg.expr], move |columns, rows| {
        let texts = columns[0].as_string::<i32>();
        let mut cells: Vec<Vec<Option<String>>> = members.iter().map(|_| Vec::with_capacity(rows)).collect();
        for text in texts {
            let mut found = text.map(fields).unwrap_or_default().into_iter();
            for column in &mut cells {
                column.push(found.next().flatten());
            }
        }
        let columns = cells
            .into_iter()
            .zip(members.iter())
            .map(|(column, member)| {
                let column: ArrayRef = Arc::new(StringArray::from(column));
                casts::cast(&column, member.data_type(), &zone, Mode::Try)
            })
            .collect::<Result<Vec<_>>>()?;
        let present: NullBuffer = (0..rows).map(|row| texts.is_valid(row)).collect::<Vec<_>>().into();
        Ok(Arc::new(StructArray::try_new_with_length(members.clone(), columns, Some(present), rows)?))
    });
    Ok(Bound::new(expr, ty, name))
}

/// Binds the call if it is one of these functions.
pub(crate) fn call(binder: &Binder, call: &mut Call<'_>) -> Result<Option<Bound>> {
    let text = call.text();
    match call.name {
        "to_csv" => to_csv(binder, call, text).map(Some),
        "from_csv" => from_csv(binder, call).map(Some),
        _ => Ok(None),
    }
}
