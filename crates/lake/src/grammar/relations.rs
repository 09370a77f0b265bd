//! Which relations a query reads: the names to resolve, and to ask permission for, before it is planned.

use sqlparser::ast::{FunctionArg, ObjectName, Query, TableFactor, TableFunctionArgs};

use super::{
    cursor::Result,
    statement::{Name, Statement},
    strict::{Strict, Visit},
};

/// Something that stands in FROM and is not defined inside the query.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    /// A table, view or temporary view, or files by path (``delta.`/path` ``): the parts as written.
    Table(Name),
    /// A call of a table function: `range(10)`, `read_files('/Volumes/…', format => 'csv')`.
    Function { name: Name, arguments: Vec<FunctionArg> },
}

/// The relations of a query, its subqueries and expressions, in source order, each once. A common table expression
/// is left out where it is visible: in the queries behind it, in the query that defines it, and, when RECURSIVE, in
/// itself; there it hides a table of the same one-part name.
pub fn relations(query: &Query) -> Vec<Relation> {
    let mut found = Relations::default();
    // The walk checks and may rewrite; a query of a parsed statement passes it unchanged.
    let _ = Strict::new(&mut found).query(&mut query.clone());
    found.relations
}

/// [`relations`] over every query and expression of a statement. The objects that the statement itself names (the
/// table of an INSERT, say) are its own fields and not among them.
pub fn statement_relations(statement: &Statement) -> Vec<Relation> {
    let mut found = Relations::default();
    let _ = Strict::new(&mut found).statement(&mut statement.clone());
    found.relations
}

#[derive(Default)]
struct Relations {
    relations: Vec<Relation>,
    /// The CTE names that each open query defined so far, in lower case.
    scopes: Vec<Vec<String>>,
}

impl Visit for Relations {
    fn enter_query(&mut self) {
        self.scopes.push(Vec::new());
    }

    fn leave_query(&mut self) {
        self.scopes.pop();
    }

    fn define_cte(&mut self, name: &str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name.to_lowercase());
        }
    }

    fn table(&mut self, table: &mut TableFactor) -> Result<()> {
        let TableFactor::Table { name, args, .. } = table else {
            return Ok(());
        };
        let name = name_of(name);
        let relation = match args {
            Some(TableFunctionArgs { args, .. }) => Relation::Function { name, arguments: args.clone() },
            None if self.is_cte(&name) => return Ok(()),
            None => Relation::Table(name),
        };
        if !self.relations.contains(&relation) {
            self.relations.push(relation);
        }
        Ok(())
    }
}

impl Relations {
    fn is_cte(&self, name: &Name) -> bool {
        match name.parts() {
            [part] => {
                let part = part.to_lowercase();
                self.scopes.iter().flatten().any(|cte| *cte == part)
            }
            _ => false,
        }
    }
}

/// The parts of sqlparser's name. Computed parts were refused before.
pub fn name_of(name: &ObjectName) -> Name {
    Name(name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.clone()).collect())
}
