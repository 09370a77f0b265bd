//! How sqlparser is to read queries and expressions.
//!
//! Everything that Databricks SQL has is switched on here, and some of what users bring from other systems, even
//! though Crannog then refuses it: a clause that is parsed can be refused by name in `strict`, one that is not parsed
//! is only "syntax error at …". It must never change what a text means in Databricks SQL.

use std::any::TypeId;

use sqlparser::{
    ast::{
        BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
        ObjectName,
    },
    dialect::{DatabricksDialect, Dialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

#[derive(Debug)]
pub(super) struct SparkSql;

pub(super) static SPARK_SQL: SparkSql = SparkSql;

impl Dialect for SparkSql {
    /// Takes the branches that sqlparser keeps for Databricks.
    fn dialect(&self) -> TypeId {
        TypeId::of::<DatabricksDialect>()
    }

    // The three below are for completeness: `tokens` has read the text already.
    fn is_identifier_start(&self, c: char) -> bool {
        c == '_' || c.is_alphabetic()
    }
    fn is_identifier_part(&self, c: char) -> bool {
        c == '_' || c.is_alphanumeric()
    }
    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '`'
    }

    fn supports_cte_without_as(&self) -> bool {
        true
    }
    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }
    fn supports_from_first_select(&self) -> bool {
        true
    }
    fn supports_group_by_expr(&self) -> bool {
        true
    }
    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }
    fn supports_interval_options(&self) -> bool {
        true
    }
    fn supports_lambda_functions(&self) -> bool {
        true
    }
    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }
    fn supports_order_by_all(&self) -> bool {
        true
    }
    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }
    fn supports_pipe_operator(&self) -> bool {
        true
    }
    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
    fn supports_struct_literal(&self) -> bool {
        true
    }
    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }
    fn supports_select_item_multi_column_alias(&self) -> bool {
        true
    }
    fn supports_select_wildcard_except(&self) -> bool {
        true
    }
    fn supports_limit_by(&self) -> bool {
        true
    }
    fn supports_limit_comma(&self) -> bool {
        true
    }
    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }
    fn supports_select_wildcard_ilike(&self) -> bool {
        true
    }
    fn supports_select_wildcard_rename(&self) -> bool {
        true
    }
    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }
    fn supports_table_versioning(&self) -> bool {
        true
    }
    fn supports_values_as_table_factor(&self) -> bool {
        true
    }
    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }
    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }
    fn supports_extract_comma_syntax(&self) -> bool {
        false
    }
    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// `a DIV b` is the function call `div(a, b)`; `>>>` comes in two tokens, as types end in many of them.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let [first, second] = parser.peek_tokens_with_location::<2>();
        if (first.token, second.token) == (Token::ShiftRight, Token::Gt) && first.span.end == second.span.start {
            parser.next_token();
            parser.next_token();
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::Custom(UNSIGNED_SHIFT.to_owned()),
                right: Box::new(right),
            }));
        }
        if !parser.parse_keyword(Keyword::DIV) {
            return None;
        }
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| call("div", vec![left.clone(), right])))
    }

    /// `||` and the shifts stand elsewhere in Spark's order than in sqlparser's.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(self.prec_value(Precedence::PlusMinus))),
            Token::ShiftLeft | Token::ShiftRight => Some(Ok(SHIFT_PRECEDENCE)),
            _ => None,
        }
    }

    /// Spark's order, loosest first: OR, AND, NOT, comparisons and LIKE, `|`, `^`, `&`, shifts, `+ - ||`, `* / % DIV`.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => 100,
            Precedence::DoubleColon => 90,
            Precedence::Colon => 1, // ends an index `a[i + 1 : j]`; a path `a:b` is refused anyway
            Precedence::AtTz => 80,
            Precedence::MulDivModOp => 70,
            Precedence::PlusMinus => 60,
            Precedence::Ampersand => 50,
            Precedence::Caret => 45,
            Precedence::Pipe => 40,
            Precedence::PgOther => 35,
            Precedence::Between | Precedence::Eq | Precedence::Like => 20,
            Precedence::Is => 17,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Xor => 7,
            Precedence::Or => 5,
        }
    }
}

const SHIFT_PRECEDENCE: u8 = 55;

/// The shift to the right that fills with zeros.
pub(super) const UNSIGNED_SHIFT: &str = ">>>";

/// A plain call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
