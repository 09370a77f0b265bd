//! Reads a GraphQL document, as far as MLflow's pages write it: one query of one field whose arguments are variables, and what is
//! wanted of the answer. Everything else of the language is refused by its name: aliases and fragments would let a small document
//! ask for a large answer.

/// How deep a document may nest, and how many fields it may name: MLflow's server has the same limits.
const MOST_DEEP: usize = 10;
const MOST_FIELDS: usize = 1000;

/// A field with what is wanted of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: String,
    /// The variable of its argument `input`.
    pub(super) input: Option<String>,
    /// Its own fields; none for a scalar.
    pub(super) fields: Vec<Field>,
}

/// The one field that a document asks the root for.
///
/// # Errors
/// What cannot be read, or is not understood here.
pub(super) fn read(text: &str) -> Result<Field, String> {
    let mut reader = Reader { rest: text, named: 0 };
    if reader.peek()? != "{" {
        match reader.next()? {
            "query" => {}
            other @ ("mutation" | "subscription" | "fragment") => {
                return Err(format!("a {other} is not understood here"));
            }
            other => return Err(format!("a document does not begin with {other:?}")),
        }
        if is_name(reader.peek()?) {
            reader.next()?;
        }
        if reader.peek()? == "(" {
            reader.skip_parentheses()?;
        }
        reader.directives()?;
    }
    let fields = reader.fields(1)?;
    if !reader.peek()?.is_empty() {
        return Err("a document has one operation, and no fragments".to_owned());
    }
    let mut asked = fields.into_iter().filter(|field| field.name != "__typename");
    match (asked.next(), asked.next()) {
        (Some(field), None) => Ok(field),
        _ => Err("a document asks for one thing".to_owned()),
    }
}

struct Reader<'a> {
    rest: &'a str,
    named: usize,
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

impl<'a> Reader<'a> {
    /// The next token, and where it ends; empty at the end.
    fn token(&self) -> Result<(&'a str, &'a str), String> {
        let mut rest = self.rest;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == '\u{feff}');
            match rest.strip_prefix('#') {
                Some(comment) => rest = &comment[comment.find('\n').unwrap_or(comment.len())..],
                None => break,
            }
        }
        let Some(first) = rest.chars().next() else { return Ok(("", rest)) };
        let end = match first {
            '{' | '}' | '(' | ')' | ':' | '$' | '!' | '@' | '[' | ']' | '=' => 1,
            '"' => match rest[1..].find(['"', '\\', '\n']) {
                Some(end) if rest.as_bytes()[end + 1] == b'"' => end + 2,
                _ => return Err("a text does not end, or has an escape".to_owned()),
            },
            first if first.is_ascii_alphanumeric() || first == '_' || first == '-' => {
                let inside = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
                rest.find(|c| !inside(c)).unwrap_or(rest.len())
            }
            '.' => return Err("fragments are not understood here".to_owned()),
            other => return Err(format!("{other:?} has no meaning in a document")),
        };
        Ok(rest.split_at(end))
    }

    fn peek(&self) -> Result<&'a str, String> {
        Ok(self.token()?.0)
    }

    fn next(&mut self) -> Result<&'a str, String> {
        let (token, rest) = self.token()?;
        self.rest = rest;
        if token.is_empty() { Err("the document ends in the middle".to_owned()) } else { Ok(token) }
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next()? {
            found if found == wanted => Ok(()),
            found => Err(format!("{found:?} stands where {wanted:?} is expected")),
        }
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.next()? {
            name if is_name(name) => Ok(name),
            other => Err(format!("{other:?} stands where a name is expected")),
        }
    }

    /// Types and defaults of variables, arguments of directives: the values alone matter.
    fn skip_parentheses(&mut self) -> Result<(), String> {
        let mut open = 0_usize;
        loop {
            match self.next()? {
                "(" => open += 1,
                ")" if open == 1 => return Ok(()),
                ")" => open -= 1,
                _ => {}
            }
        }
    }

    /// `@component(name: "…")`: says who asks. Directives that change the answer are refused.
    fn directives(&mut self) -> Result<(), String> {
        while self.peek()? == "@" {
            self.next()?;
            match self.name()? {
                "component" => {}
                other => return Err(format!("the directive @{other} is not understood here")),
            }
            if self.peek()? == "(" {
                self.skip_parentheses()?;
            }
        }
        Ok(())
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<Field>, String> {
        if depth > MOST_DEEP {
            return Err(format!("the document is deeper than {MOST_DEEP}"));
        }
        self.expect("{")?;
        let mut fields = Vec::new();
        while self.peek()? != "}" {
            self.named += 1;
            if self.named > MOST_FIELDS {
                return Err(format!("the document names more than {MOST_FIELDS} fields"));
            }
            let name = self.name()?.to_owned();
            if self.peek()? == ":" {
                return Err("aliases are not understood here".to_owned());
            }
            let input = if self.peek()? == "(" { Some(self.input()?) } else { None };
            let inner = if self.peek()? == "{" { self.fields(depth + 1)? } else { Vec::new() };
            fields.push(Field { name, input, fields: inner });
        }
        self.expect("}")?;
        Ok(fields)
    }

    /// `(input: $data)`
    fn input(&mut self) -> Result<String, String> {
        for wanted in ["(", "input", ":", "$"] {
            self.expect(wanted)?;
        }
        let name = self.name()?.to_owned();
        self.expect(")")?;
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, fields: Vec<Field>) -> Field {
        Field { name: name.to_owned(), input: None, fields }
    }

    #[test]
    fn a_query_as_the_pages_write_it() {
        let text = "query GetRun($data: MlflowGetRunInput! = {a: \"b)\"}) @component(name: \"MLflow.X\") { # why\n __typename \
                    mlflowGetRun(input: $data) { run { info { runName, status } } __typename } }";
        let info = field("info", vec![field("runName", vec![]), field("status", vec![])]);
        let asked = Field {
            input: Some("data".to_owned()),
            ..field("mlflowGetRun", vec![field("run", vec![info]), field("__typename", vec![])])
        };
        assert_eq!(read(text), Ok(asked));
        assert_eq!(read("{a{b}}"), Ok(field("a", vec![field("b", vec![])])));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, why) in [
            ("", "ends in the middle"),
            ("query { a", "ends in the middle"),
            ("query { }", "one thing"),
            ("{ a b }", "one thing"),
            ("{ a } { b }", "one operation"),
            ("mutation { a }", "mutation is not"),
            ("{ x: a }", "aliases"),
            ("{ ...F }", "fragments"),
            ("{ a @skip(if: true) }", "\"@\" stands"),
            ("query Q @skip(if: true) { a }", "@skip is not"),
            ("{ a(input: {b: 1}) }", "\"{\" stands"),
            ("{ a(other: $b) }", "\"other\" stands"),
            ("{ a(input: \"\\u0041\") }", "escape"),
            ("{ a \u{0} }", "no meaning"),
            ("{ é }", "no meaning"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(why), "{text:?}: {found}");
        }
        assert!(read(&format!("{}a{}", "{a".repeat(11), "}".repeat(11))).unwrap_err().contains("deeper"));
        assert!(read(&format!("{{a{{{}}}}}", "b ".repeat(1001))).unwrap_err().contains("more than 1000"));
    }
}
