//! Tokens put together: names with dots, comparisons, parentheses.
//!
//! Upstream groups tokens in passes, each over the whole text; a comparison is one that a pass found, and whatever stays
//! outside is an invalid clause, which errors quote. These are those passes, as far as filters meet them.

use super::tokens::{Kind, Token, tokens};

/// A token or a group.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of a group: what it was made of, spaces included. Of a parenthesis: what is between.
    pub(super) children: Vec<Node>,
}

impl Node {
    /// What was written.
    pub(super) fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.start..self.end]
    }
}

impl From<Token> for Node {
    fn from(token: Token) -> Self {
        Node { kind: token.kind, start: token.start, end: token.end, children: Vec::new() }
    }
}

/// Upstream's limits against hostile texts.
const MAX_DEPTH: usize = 100;
const MAX_TOKENS: usize = 10_000;

/// The grouped tokens of a text; `None` when there are too many of them, or parentheses are too deep.
pub(super) fn grouped(text: &str) -> Option<Vec<Node>> {
    let tokens = tokens(text, MAX_TOKENS)?;
    let mut levels: Vec<Vec<Node>> = vec![Vec::new()];
    for token in tokens {
        match (&text[token.start..token.end], token.kind) {
            ("(", Kind::Punctuation) => {
                if levels.len() > MAX_DEPTH {
                    return None;
                }
                levels.push(vec![token.into()]);
            }
            (")", Kind::Punctuation) if levels.len() > 1 => {
                let mut inner = levels.pop().unwrap_or_default();
                let start = inner.remove(0).start;
                passes(&mut inner, text);
                let node = Node { kind: Kind::Parenthesis, start, end: token.end, children: inner };
                push(&mut levels, node);
            }
            _ => push(&mut levels, token.into()),
        }
    }
    // What was opened and not closed is no group.
    let mut all: Vec<Node> = levels.into_iter().flatten().collect();
    passes(&mut all, text);
    Some(all)
}

fn push(levels: &mut [Vec<Node>], node: Node) {
    if let Some(level) = levels.last_mut() {
        level.push(node);
    }
}

fn passes(list: &mut Vec<Node>, text: &str) {
    use Kind::*;
    functions(list);
    let dot = |node: &Node| node.kind == Punctuation && node.text(text) == ".";
    join(
        list,
        Identifier,
        dot,
        |kind| matches!(kind, Brackets | Identifier | Name | Symbol),
        |next| match next {
            Some(Brackets | Function | Name | Symbol | Wildcard | Single) => Some(true),
            _ => Some(false),
        },
    );
    for node in list.iter_mut().filter(|node| matches!(node.kind, Name | Symbol)) {
        node.kind = Identifier;
    }
    directions(list);
    let operand = |kind| {
        matches!(
            kind,
            Brackets
                | Parenthesis
                | Function
                | Identifier
                | Operation
                | Int
                | Float
                | Single
                | Symbol
                | Name
                | Placeholder
        )
    };
    join(
        list,
        Operation,
        |node| matches!(node.kind, Operator | Wildcard),
        operand,
        |next| next.is_some_and(operand).then_some(true),
    );
    let comparable = |kind| operand(kind) && kind != Brackets || kind == Null;
    join(
        list,
        Comparison,
        |node| node.kind == Relation,
        comparable,
        |next| next.is_some_and(comparable).then_some(true),
    );
    aliases(list);
    let listed = |kind| {
        matches!(
            kind,
            Function
                | Identifier
                | Comparison
                | List
                | Operation
                | Int
                | Float
                | Single
                | Symbol
                | Name
                | Placeholder
                | Keyword
                | Null
                | Comment
                | Wildcard
        )
    };
    let comma = |node: &Node| node.kind == Punctuation && node.text(text) == ",";
    join(list, List, comma, listed, |next| next.is_some_and(listed).then_some(true));
}

/// Joins what stands around a token into a group: with what follows (`Some(true)`), up to the token (`Some(false)`), not
/// at all (`None`). Whether something can stand before it is said of the last part, not of the group that this is part of.
fn join(
    list: &mut Vec<Node>,
    group: Kind,
    token: impl Fn(&Node) -> bool,
    before: impl Fn(Kind) -> bool,
    after: impl Fn(Option<Kind>) -> Option<bool>,
) {
    let mut previous: Option<(usize, Kind)> = None;
    let mut at = 0;
    while at < list.len() {
        if list[at].kind == Kind::Space {
            at += 1;
            continue;
        }
        if let Some((from, kind)) = previous.filter(|_| token(&list[at]))
            && before(kind)
        {
            let next = following(list, at);
            if let Some(whole) = after(next.map(|next| list[next].kind)) {
                let (to, last) = match next {
                    Some(next) if whole => (next, list[next].kind),
                    _ => (at, group),
                };
                fold(list, from, to, group);
                previous = Some((from, last));
                at = from + 1;
                continue;
            }
        }
        previous = Some((at, list[at].kind));
        at += 1;
    }
}

/// A name and the parenthesis behind it.
fn functions(list: &mut Vec<Node>) {
    let mut at = 0;
    while at < list.len() {
        let named = matches!(list[at].kind, Kind::Name | Kind::Builtin | Kind::Placeholder);
        if let Some(next) = following(list, at).filter(|&next| named && list[next].kind == Kind::Parenthesis) {
            fold(list, at, next, Kind::Function);
        }
        at += 1;
    }
}

/// A name and its ASC or DESC.
fn directions(list: &mut Vec<Node>) {
    let mut at = 0;
    while at < list.len() {
        let before = (0..at).rev().find(|&before| list[before].kind != Kind::Space);
        let ordered =
            |before: &usize| matches!(list[*before].kind, Kind::Identifier | Kind::Int | Kind::Float | Kind::Hex);
        if list[at].kind == Kind::Direction
            && let Some(before) = before.filter(ordered)
        {
            fold(list, before, at, Kind::Identifier);
            at = before;
        }
        at += 1;
    }
}

/// Something and a name behind it: in SQL, what it is called.
fn aliases(list: &mut Vec<Node>) {
    use Kind::*;
    let mut at = 0;
    while at < list.len() {
        let aliased =
            matches!(list[at].kind, Parenthesis | Function | Identifier | Operation | Comparison | Int | Float | Hex);
        if let Some(next) = following(list, at).filter(|&next| aliased && list[next].kind == Identifier) {
            fold(list, at, next, Identifier);
        }
        at += 1;
    }
}

/// The next token that is no space.
fn following(list: &[Node], at: usize) -> Option<usize> {
    (at + 1..list.len()).find(|&next| list[next].kind != Kind::Space)
}

fn fold(list: &mut Vec<Node>, from: usize, to: usize, kind: Kind) {
    let (start, end) = (list[from].start, list[to].end);
    let children = list.drain(from..=to).collect();
    list.insert(from, Node { kind, start, end, children });
}
