//! What a model takes and gives, as its file `MLmodel` says, and what changed between two versions.
//!
//! `MLmodel` is YAML as PyYAML writes it; of it one mapping is read, `signature`, whose values are JSON in quotes. What cannot be
//! read is no signature: a version is never refused for it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest `MLmodel` that is read, in bytes.
pub const LONGEST: u64 = 4 << 20;

/// What a model takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What it takes.
    pub inputs: Vec<Column>,
    /// What it gives.
    pub outputs: Vec<Column>,
    /// What may be said with each request.
    #[serde(default)]
    pub params: Vec<Column>,
}

/// A column, a tensor or a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name; one without a name is called by its place, `0` for the first.
    pub name: String,
    /// `double`, `array<string>`, `tensor(float64, [-1, 3])`.
    pub kind: String,
    /// Whether it has to be there.
    pub required: bool,
}

/// What changed in a list of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that are new.
    pub added: Vec<Column>,
    /// Those that are gone.
    pub removed: Vec<Column>,
    /// Those of another type, or needed where they were not: before and after.
    pub retyped: Vec<(Column, Column)>,
}

/// What changed between two signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In what the model takes.
    pub inputs: Changes,
    /// In what it gives.
    pub outputs: Changes,
    /// In what may be said with each request.
    pub params: Changes,
}

impl Comparison {
    /// Compares a signature with that of the version before.
    pub fn of(before: &Signature, after: &Signature) -> Self {
        Comparison {
            inputs: changes(&before.inputs, &after.inputs),
            outputs: changes(&before.outputs, &after.outputs),
            params: changes(&before.params, &after.params),
        }
    }

    /// Whether who calls the version before can call this one as before: nothing new is needed, nothing that was given is gone,
    /// nothing has another type.
    pub fn compatible(&self) -> bool {
        let needs = |changes: &Changes| changes.added.iter().any(|column| column.required);
        let retyped = [&self.inputs, &self.outputs, &self.params].iter().any(|changes| !changes.retyped.is_empty());
        !needs(&self.inputs)
            && !needs(&self.params)
            && !retyped
            && self.outputs.removed.is_empty()
            && self.params.removed.is_empty()
    }
}

fn changes(before: &[Column], after: &[Column]) -> Changes {
    let find = |list: &[Column], name: &str| list.iter().find(|column| column.name == name).cloned();
    let mut changes = Changes::default();
    for column in after {
        match find(before, &column.name) {
            None => changes.added.push(column.clone()),
            // What was needed and is not any more breaks nobody.
            Some(old) if old.kind != column.kind || (column.required && !old.required) => {
                changes.retyped.push((old, column.clone()));
            }
            Some(_) => {}
        }
    }
    changes.removed = before.iter().filter(|column| find(after, &column.name).is_none()).cloned().collect();
    changes
}

/// The signature in an `MLmodel`; none when it has none, or none that can be read.
pub fn of_mlmodel(text: &str) -> Option<Signature> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "signature:").skip(1).peekable();
    let mut signature = Signature::default();
    let mut found = false;
    while let Some(line) = lines.next_if(|line| line.starts_with(' ') || line.is_empty()) {
        let Some((name, value)) = line.trim_start().split_once(':') else { continue };
        let columns = match name {
            "inputs" => &mut signature.inputs,
            "outputs" => &mut signature.outputs,
            "params" => &mut signature.params,
            _ => continue,
        };
        let mut value = value.trim().to_owned();
        // PyYAML folds long texts: a line break is a space, an empty line a line break.
        while let Some(more) = lines.next_if(|next| (next.starts_with("    ") || next.is_empty()) && !is_whole(&value))
        {
            match (more.trim(), value.ends_with('\n')) {
                ("", _) => value.push('\n'),
                (more, true) => value.push_str(more),
                (more, false) => {
                    let joined = value.strip_suffix('\\').map(str::to_owned);
                    match joined {
                        // An escaped line break is nothing, and what is to stay before the next text is escaped too.
                        Some(before) => value = before + more.strip_prefix('\\').unwrap_or(more),
                        None => {
                            value.push(' ');
                            value.push_str(more);
                        }
                    }
                }
            }
        }
        if value == "null" {
            continue;
        }
        let json: Value = serde_json::from_str(&unquoted(&value)?).ok()?;
        *columns = columns_of(&json)?;
        found = true;
    }
    found.then_some(signature)
}

/// Whether a quoted text has its end.
fn is_whole(value: &str) -> bool {
    match value.as_bytes() {
        [b'\'', rest @ ..] => rest.iter().filter(|byte| **byte == b'\'').count() % 2 == 1 && rest.ends_with(b"'"),
        [b'"', rest @ ..] => {
            let escapes = rest.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count();
            rest.ends_with(b"\"") && escapes % 2 == 0
        }
        [] => false,
        _ => true,
    }
}

/// The text of a YAML scalar in either kind of quotes.
fn unquoted(value: &str) -> Option<String> {
    if let Some(inner) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(inner.replace("''", "'"));
    }
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(value.to_owned());
    };
    let mut out = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let other = letters.next()?;
        let digits = match other {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let text: String = letters.by_ref().take(digits).collect();
            out.push(u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)?);
            continue;
        }
        out.push(match other {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            other => other,
        });
    }
    Some(out)
}

fn columns_of(json: &Value) -> Option<Vec<Column>> {
    json.as_array()?.iter().enumerate().map(|(at, item)| column(at, item)).collect()
}

fn column(at: usize, item: &Value) -> Option<Column> {
    let name = item.get("name").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
    // Parameters have a default, and need not be said.
    let default = item.get("default").is_some();
    let required = item.get("required").and_then(Value::as_bool).unwrap_or(!default);
    let mut kind = kind_of(item)?;
    if let Some(shape) = item.get("shape").filter(|shape| !shape.is_null()) {
        kind = format!("{kind}{shape}");
    }
    Some(Column { name, kind, required })
}

/// A type in one line.
fn kind_of(item: &Value) -> Option<String> {
    let kind = item.get("type").or_else(|| item.get("dtype"))?.as_str()?;
    Some(match kind {
        "tensor" => {
            let spec = item.get("tensor-spec")?;
            let dtype = spec.get("dtype").and_then(Value::as_str).unwrap_or("?");
            format!("tensor({dtype}, {})", spec.get("shape").map(Value::to_string).unwrap_or_default())
        }
        "array" => format!("array<{}>", item.get("items").and_then(kind_of).unwrap_or_default()),
        "map" => format!("map<string, {}>", item.get("values").and_then(kind_of).unwrap_or_default()),
        "object" => {
            let fields = item.get("properties").and_then(Value::as_object)?;
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| {
                    let optional = field.get("required").and_then(Value::as_bool) == Some(false);
                    format!("{name}{}: {}", if optional { "?" } else { "" }, kind_of(field).unwrap_or_default())
                })
                .collect();
            format!("object<{}>", fields.join(", "))
        }
        kind => kind.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PyYAML writes it: long texts are folded at 80 characters.
    const MLMODEL: &str = r#"artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
signature:
  inputs: '[{"type": "long", "name": "month", "required": true}, {"type": "string",
    "name": "carrier''s", "required": true}, {"type": "double", "name": "dep_delay",
    "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
type_hint: null
"#;

    fn column(name: &str, kind: &str, required: bool) -> Column {
        Column { name: name.to_owned(), kind: kind.to_owned(), required }
    }

    #[test]
    fn the_signature_of_an_mlmodel_is_read() {
        let found = of_mlmodel(MLMODEL).unwrap();
        let wanted = vec![
            column("month", "long", true),
            column("carrier's", "string", true),
            column("dep_delay", "double", false),
        ];
        assert_eq!(found.inputs, wanted);
        assert_eq!(found.outputs, [column("0", "tensor(int64, [-1])", true)]);
        assert_eq!(of_mlmodel("flavors: {}\n"), None);
        assert_eq!(of_mlmodel("signature:\n  inputs: '[{'\n"), None);
    }

    #[test]
    fn double_quotes_escapes_and_nested_types_are_read() {
        let text = "signature:\n  inputs: \"[{\\\"type\\\": \\\"array\\\", \\\"items\\\": {\\\"type\\\": \\\"double\\\"}, \\\n    \\ \\\"name\\\": \\\"\\u65E5\\x41\\\"}]\"\n  params: '[{\"name\": \"t\", \"dtype\": \"double\", \"default\": 0.1, \"shape\": null}]'\n";
        let found = of_mlmodel(text).unwrap();
        assert_eq!(found.inputs, [column("日A", "array<double>", true)]);
        assert_eq!(found.params, [column("t", "double", false)]);
    }

    #[test]
    fn what_changed_is_said_and_what_breaks_callers_is_known() {
        let before = of_mlmodel(MLMODEL).unwrap();
        assert!(Comparison::of(&before, &before).compatible());
        let mut after = before.clone();
        after.inputs[0].kind = "double".to_owned();
        after.inputs.remove(2);
        after.inputs.push(column("origin", "string", true));
        let compared = Comparison::of(&before, &after);
        assert_eq!(compared.inputs.added, [column("origin", "string", true)]);
        assert_eq!(compared.inputs.removed, [column("dep_delay", "double", false)]);
        assert_eq!(compared.inputs.retyped, [(column("month", "long", true), column("month", "double", true))]);
        assert!(!compared.compatible());
        let mut optional = before.clone();
        optional.inputs.push(column("weather", "double", false));
        optional.inputs[0].required = false;
        assert!(Comparison::of(&before, &optional).compatible());
    }
}
