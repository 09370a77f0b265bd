//! Tables whose rows another component reads while the query runs, as DataFusion reads them.
//!
//! Of a query's conditions those are said to the component by which it may read less: that a text column has one of some values,
//! that a time lies before or after another, that a map has a value at a key. All of them run above the scan once more.

use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use crannog_lake::ports::{Served, Wanted};
use crannog_lake::service::statements::answer::schema_of;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;

use crate::spark::functions::nested::MAP_VALUE;

/// Such a table.
#[derive(Debug)]
pub(crate) struct ServedTable {
    served: Arc<dyn Served>,
    schema: SchemaRef,
}

impl ServedTable {
    pub(crate) fn new(served: Arc<dyn Served>) -> Self {
        ServedTable { schema: schema_of(served.columns()), served }
    }
}

#[async_trait]
impl TableProvider for ServedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let told = |filter: &&Expr| match one_of(filter).is_some()
            || within(filter, &self.schema).is_some()
            || holding(filter).is_some()
        {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(told).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let place = |column: &str| self.schema.index_of(column).ok();
        let mut wanted = Wanted { columns, ..Wanted::default() };
        for filter in filters {
            if let Some((column, texts)) = one_of(filter) {
                wanted.only.extend(place(column).zip(Some(texts)));
            } else if let Some((column, range)) = within(filter, &self.schema) {
                wanted.within.extend(place(column).zip(Some(range)));
            } else if let Some((column, text)) = holding(filter) {
                wanted.holding.extend(place(column).zip(Some(text)));
            }
        }
        let rows: Arc<dyn PartitionStream> =
            Arc::new(Rows { served: Arc::clone(&self.served), schema: Arc::clone(&schema), wanted });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![rows], None, None, false, limit)?))
    }
}

/// The column and the texts of a condition that it has one of them.
fn one_of(condition: &Expr) -> Option<(&str, Vec<String>)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, value) = match (&**left, &**right) {
                (Expr::Column(column), value) | (value, Expr::Column(column)) => (column, value),
                _ => return None,
            };
            Some((&column.name, vec![text(value)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((column, mut texts), (other, more)) = (one_of(left)?, one_of(right)?);
            texts.extend(more);
            (column == other).then_some((column, texts))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(column) = &**expr else { return None };
            Some((&column.name, list.iter().map(text).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// The column and the moments of a condition that it is at one of them, in microseconds.
fn within<'e>(condition: &'e Expr, schema: &Schema) -> Option<(&'e str, RangeInclusive<i64>)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, op, value) = match (&**left, &**right) {
                (Expr::Column(column), value) => (column, *op, value),
                (value, Expr::Column(column)) => (column, op.swap()?, value),
                _ => return None,
            };
            let moments = moments(value, schema.field_with_name(&column.name).ok()?.data_type())?;
            let range = match op {
                Operator::Eq => moments,
                Operator::Lt => i64::MIN..=moments.start().saturating_sub(1),
                Operator::LtEq => i64::MIN..=*moments.end(),
                Operator::Gt => moments.end().saturating_add(1)..=i64::MAX,
                Operator::GtEq => *moments.start()..=i64::MAX,
                _ => return None,
            };
            Some((&column.name, range))
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let Expr::Column(column) = &**expr else { return None };
            let field = schema.field_with_name(&column.name).ok()?;
            let (low, high) = (moments(low, field.data_type())?, moments(high, field.data_type())?);
            Some((&column.name, *low.start()..=*high.end()))
        }
        _ => None,
    }
}

/// The moments of a time or of a day, where that is what the column has.
fn moments(value: &Expr, of: &DataType) -> Option<RangeInclusive<i64>> {
    const DAY: i64 = 86_400_000_000;
    match (value, of) {
        (Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), _), _), DataType::Timestamp(..)) => Some(*at..=*at),
        (Expr::Literal(ScalarValue::Date32(Some(day)), _), DataType::Date32) => {
            let begins = i64::from(*day) * DAY;
            Some(begins..=begins + (DAY - 1))
        }
        _ => None,
    }
}

/// The column and the text of a condition that a map has the text at a key.
fn holding(condition: &Expr) -> Option<(&str, String)> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    let (call, value) = match (&**left, &**right) {
        (Expr::ScalarFunction(call), value) | (value, Expr::ScalarFunction(call)) => (call, value),
        _ => return None,
    };
    match call.args.as_slice() {
        [Expr::Column(map), _] if call.name() == MAP_VALUE => Some((&map.name, text(value)?)),
        _ => None,
    }
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Some(text.clone()),
        _ => None,
    }
}

#[derive(Debug)]
struct Rows {
    served: Arc<dyn Served>,
    schema: SchemaRef,
    wanted: Wanted,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.served.rows(self.wanted.clone());
        let rows = rows.map_err(|problem| DataFusionError::External(Box::new(problem)));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

#[cfg(test)]
mod tests {
    use crannog_lake::service::statements::answer::Type;
    use datafusion::arrow::array::ArrayRef;
    use datafusion::logical_expr::{col, lit};

    use super::*;
    use crate::spark::kernel::pure;

    #[test]
    fn moments_that_a_column_must_be_at_are_found() {
        let schema = schema_of(&[("at", Type::Timestamp), ("day", Type::Date), ("n", Type::Long)]);
        let at = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let day = |day: i32| lit(ScalarValue::Date32(Some(day)));
        let found = |condition: Expr| within(&condition, &schema).map(|(column, range)| (column.to_owned(), range));
        let of = |column: &str, from: i64, to: i64| Some((column.to_owned(), from..=to));
        const DAY: i64 = 86_400_000_000;
        assert_eq!(found(col("at").gt_eq(at(5))), of("at", 5, i64::MAX));
        assert_eq!(found(col("at").gt(at(5))), of("at", 6, i64::MAX));
        assert_eq!(found(col("at").lt(at(5))), of("at", i64::MIN, 4));
        assert_eq!(found(at(5).lt(col("at"))), of("at", 6, i64::MAX));
        assert_eq!(found(col("at").eq(at(5))), of("at", 5, 5));
        assert_eq!(found(col("at").between(at(5), at(7))), of("at", 5, 7));
        assert_eq!(found(col("day").eq(day(2))), of("day", 2 * DAY, 3 * DAY - 1));
        assert_eq!(found(col("day").gt(day(2))), of("day", 3 * DAY, i64::MAX));
        assert_eq!(found(col("day").lt(day(2))), of("day", i64::MIN, 2 * DAY - 1));
        assert_eq!(found(col("day").lt_eq(day(2))), of("day", i64::MIN, 3 * DAY - 1));
        for other in [
            col("at").not_eq(at(5)),
            col("at").gt(lit(ScalarValue::TimestampMicrosecond(None, Some("UTC".into())))),
            col("at").gt(day(2)),
            col("day").gt(at(5)),
            col("n").gt(lit(5_i64)),
            col("at").not_between(at(5), at(7)),
            col("at").gt(at(5)).or(col("at").lt(at(3))),
        ] {
            assert_eq!(found(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn texts_that_a_map_must_have_are_found() {
        let value_of = |name: &str, argument: Expr| {
            let never = |_: &[ArrayRef], _| Err(DataFusionError::Internal("it is not run".to_owned()));
            pure(name, "", DataType::Utf8, vec![argument, lit("key")], never)
        };
        let found = |condition: Expr| holding(&condition).map(|(column, text)| (column.to_owned(), text));
        let of = Some(("m".to_owned(), "x".to_owned()));
        assert_eq!(found(value_of(MAP_VALUE, col("m")).eq(lit("x"))), of);
        assert_eq!(found(lit("x").eq(value_of(MAP_VALUE, col("m")))), of);
        for other in [
            value_of(MAP_VALUE, col("m")).not_eq(lit("x")),
            value_of(MAP_VALUE, col("m")).eq(col("n")),
            value_of(MAP_VALUE, value_of(MAP_VALUE, col("m"))).eq(lit("x")),
            value_of("another", col("m")).eq(lit("x")),
            value_of(MAP_VALUE, col("m")).eq(lit(1)),
        ] {
            assert_eq!(found(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn texts_that_a_column_must_have_are_found() {
        let found = |condition: Expr| one_of(&condition).map(|(column, texts)| (column.to_owned(), texts.join(",")));
        let of = |column: &str, texts: &str| Some((column.to_owned(), texts.to_owned()));
        assert_eq!(found(col("a").eq(lit("x"))), of("a", "x"));
        assert_eq!(found(lit("x").eq(col("a"))), of("a", "x"));
        assert_eq!(found(col("a").in_list(vec![lit("x"), lit("y")], false)), of("a", "x,y"));
        assert_eq!(found(col("a").eq(lit("x")).or(col("a").eq(lit("y")))), of("a", "x,y"));
        for other in [
            col("a").eq(lit("x")).or(col("b").eq(lit("y"))),
            col("a").in_list(vec![lit("x")], true),
            col("a").not_eq(lit("x")),
            col("a").eq(lit(1)),
            col("a").eq(col("b")),
            col("a").in_list(vec![lit("x"), col("b")], false),
        ] {
            assert_eq!(found(other.clone()), None, "{other}");
        }
    }
}
