//! One comparison as SQL, the same for both databases.
//!
//! LIKE tells upper from lower case on both (SQLite is told so when it is opened), and a backslash is a character like any
//! other. ILIKE folds ASCII, as both databases' `lower()` does over our columns.

use crannog_store::query::{Expr, ExprTrait, Func, LikeExpr};

use crate::model::search::{Operator, Value};

/// What holds always.
pub(super) fn always() -> Expr {
    Expr::cust("1 = 1")
}

/// What never holds.
pub(super) fn never() -> Expr {
    Expr::cust("1 = 0")
}

/// Whether a value that is there compares so.
pub(super) fn compare(left: Expr, operator: Operator, value: &Value) -> Expr {
    match (operator, value) {
        (Operator::In, Value::List(texts)) => left.is_in(texts.iter().map(String::as_str)),
        (Operator::NotIn, Value::List(texts)) => left.is_not_in(texts.iter().map(String::as_str)),
        (Operator::Like, Value::Text(pattern)) => left.like(like(pattern)),
        (Operator::ILike, Value::Text(pattern)) => {
            Expr::from(Func::lower(left)).like(like(&pattern.to_ascii_lowercase()))
        }
        (_, Value::Text(text)) => relation(left, operator, text.as_str().into()),
        (_, Value::Int(number)) => relation(left, operator, (*number).into()),
        // No column holds an infinity.
        (_, Value::Real(number)) if number.is_infinite() => {
            let less = *number > 0.0;
            let holds = match operator {
                Operator::Less | Operator::LessOrEqual => less,
                Operator::Greater | Operator::GreaterOrEqual => !less,
                Operator::NotEqual => true,
                _ => false,
            };
            if holds { left.is_not_null() } else { never() }
        }
        (_, Value::Real(number)) => relation(left, operator, (*number).into()),
        (Operator::IsNotNull, _) => left.is_not_null(),
        (Operator::IsNull, _) => left.is_null(),
        _ => never(),
    }
}

fn relation(left: Expr, operator: Operator, right: Expr) -> Expr {
    match operator {
        Operator::Equal => left.eq(right),
        Operator::NotEqual => left.ne(right),
        Operator::Less => left.lt(right),
        Operator::LessOrEqual => left.lte(right),
        Operator::Greater => left.gt(right),
        Operator::GreaterOrEqual => left.gte(right),
        _ => never(),
    }
}

fn like(pattern: &str) -> LikeExpr {
    LikeExpr::new(pattern.replace('\\', "\\\\")).escape('\\')
}
