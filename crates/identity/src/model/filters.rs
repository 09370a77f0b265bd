//! SCIM's filters (RFC 7644 §3.4.2.2): `userName eq "ana" and (active eq true or displayName sw "A")`.
//!
//! They are applied to resources as they are sent: attributes are found without case, dotted paths go into lists.

use crannog_types::{Problem, Result};
use serde_json::Value;

/// A filter that was read.
#[derive(Debug, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare { path: String, with: Comparison, value: String },
    Present(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
}

/// The deepest nesting of brackets and `not` that is read.
const DEEPEST: usize = 50;

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Filter> {
        let mut reader = Reader { tokens: tokens(text)?, at: 0, depth: 0 };
        let filter = reader.either()?;
        match reader.peek() {
            None => Ok(filter),
            Some(token) => Err(wrong(&format!("{:?} is left over", token.text))),
        }
    }

    /// Whether a resource passes.
    pub(crate) fn accepts(&self, resource: &Value) -> bool {
        match self {
            Filter::And(a, b) => a.accepts(resource) && b.accepts(resource),
            Filter::Or(a, b) => a.accepts(resource) || b.accepts(resource),
            Filter::Not(inner) => !inner.accepts(resource),
            Filter::Present(path) => !texts(resource, path).is_empty(),
            Filter::Compare { path, with, value } => {
                let found = texts(resource, path);
                let wanted = value.to_lowercase();
                let any = |test: fn(&str, &str) -> bool| found.iter().any(|text| test(&text.to_lowercase(), &wanted));
                match with {
                    Comparison::Equal => any(|text, wanted| text == wanted),
                    Comparison::NotEqual => !any(|text, wanted| text == wanted),
                    Comparison::Contains => any(|text, wanted| text.contains(wanted)),
                    Comparison::StartsWith => any(|text, wanted| text.starts_with(wanted)),
                    Comparison::EndsWith => any(|text, wanted| text.ends_with(wanted)),
                }
            }
        }
    }

    /// Whether it looks at an attribute.
    pub(crate) fn mentions(&self, attribute: &str) -> bool {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => a.mentions(attribute) || b.mentions(attribute),
            Filter::Not(inner) => inner.mentions(attribute),
            Filter::Compare { path, .. } | Filter::Present(path) => {
                path.split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(attribute))
            }
        }
    }
}

/// The texts at a path, lists gone into; `value` where the path ends at an object of a list.
fn texts(resource: &Value, path: &str) -> Vec<String> {
    let mut found = vec![resource];
    for part in path.split('.') {
        found = flat(found)
            .into_iter()
            .filter_map(|value| {
                value.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(part)).map(|(_, value)| value)
            })
            .collect();
    }
    flat(found)
        .into_iter()
        .filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Object(object) => object.get("value").and_then(Value::as_str).map(str::to_owned),
            Value::Null | Value::Array(_) => None,
        })
        .collect()
}

fn flat(values: Vec<&Value>) -> Vec<&Value> {
    values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list.iter().collect(),
            other => vec![other],
        })
        .collect()
}

struct Token {
    text: String,
    quoted: bool,
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let (mut found, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' => found.push(Token { text: c.to_string(), quoted: false }),
            '"' | '\'' => {
                let mut value = String::new();
                loop {
                    match chars.next() {
                        None => return Err(wrong("a quote is not closed")),
                        Some('\\') => value.extend(chars.next()),
                        Some(end) if end == c => break,
                        Some(inside) => value.push(inside),
                    }
                }
                found.push(Token { text: value, quoted: true });
            }
            c => {
                let mut word = c.to_string();
                while let Some(next) = chars.next_if(|next| !next.is_whitespace() && !"()\"'".contains(*next)) {
                    word.push(next);
                }
                found.push(Token { text: word, quoted: false });
            }
        }
    }
    Ok(found)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn word(&mut self, word: &str) -> bool {
        let is = self.peek().is_some_and(|token| !token.quoted && token.text.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    fn next(&mut self, wanted: &str) -> Result<String> {
        let text = self.peek().map(|token| token.text.clone()).ok_or_else(|| wrong(&format!("{wanted} is missing")))?;
        self.at += 1;
        Ok(text)
    }

    fn either(&mut self) -> Result<Filter> {
        let mut filter = self.both()?;
        while self.word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Filter> {
        let mut filter = self.one()?;
        while self.word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(wrong("it is nested too deep"));
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.word("(") {
            let inner = self.either()?;
            if !self.word(")") {
                return Err(wrong("a bracket is not closed"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> Result<Filter> {
        let path = self.next("an attribute")?;
        // `urn:ietf:params:scim:schemas:core:2.0:User:userName` is `userName`.
        let path = path.rsplit(':').next().unwrap_or(&path).to_owned();
        let operator = self.next("an operator")?;
        let with = match operator.to_ascii_lowercase().as_str() {
            "pr" => return Ok(Filter::Present(path)),
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "co" => Comparison::Contains,
            "sw" => Comparison::StartsWith,
            "ew" => Comparison::EndsWith,
            _ => return Err(wrong(&format!("{operator:?} is no operator of ours"))),
        };
        Ok(Filter::Compare { path, with, value: self.next("a value")? })
    }
}

fn wrong(what: &str) -> Problem {
    Problem::invalid(format!("the filter cannot be read: {what}"))
        .hint("operators are eq, ne, co, sw, ew, pr, and, or, not; texts stand in double quotes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_accept_what_they_say() {
        let ana = json!({ "userName": "Ana@Example.com", "active": true, "externalId": "7",
            "emails": [{ "value": "ana@example.com", "primary": true }],
            "groups": [{ "value": "12", "display": "analysts" }] });
        for (filter, accepted) in [
            ("userName eq \"ana@example.com\"", true),
            ("username eq 'ANA@example.com'", true),
            ("userName ne \"ana@example.com\"", false),
            ("userName co \"@exam\" and active eq true", true),
            ("userName sw \"ben\" or userName sw \"an\"", true),
            ("userName sw \"ben\" or userName sw \"an\" and active eq false", false),
            ("not (userName ew \".org\")", true),
            ("emails.value eq \"ana@example.com\"", true),
            ("emails eq \"ana@example.com\"", true),
            ("groups.display eq \"analysts\"", true),
            ("nickName pr", false),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName pr", true),
            ("id eq 5", false),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().accepts(&ana), accepted, "{filter}");
        }
        for bad in ["", "userName", "userName eq", "userName is \"a\"", "(userName pr", "userName pr )", "a eq \"b"] {
            assert!(Filter::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Filter::parse(&format!("{}a pr{}", "(".repeat(9_999), ")".repeat(9_999))).is_err());
    }
}
