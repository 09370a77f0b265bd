//! What Databricks SQL has and Crannog does not, by name: each entry says what to do instead.
//!
//! Two tables: statements, by the words that they begin with, and clauses, by the word at which sqlparser gives up.
//! Clauses that sqlparser can parse are refused in `strict`. An entry disappears when the feature arrives.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{cursor::is_word, error::SyntaxError};

/// Statements: opening words, and what to do instead.
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("CACHE", "leave it out: Crannog keeps footers and table state in memory by itself"),
    ("UNCACHE", "leave it out: there is no cache to manage"),
    ("CLEAR CACHE", "leave it out: there is no cache to manage"),
    ("REFRESH FUNCTION", "leave it out: functions are always current"),
    ("REFRESH MATERIALIZED VIEW", "rebuild the table with CREATE OR REPLACE TABLE … AS"),
    ("REFRESH STREAMING TABLE", "load new files with COPY INTO"),
    ("REFRESH FOREIGN", "connect to the other system from a job"),
    ("CALL", "stored procedures are not available yet; send the statements one by one"),
    ("BEGIN", "SQL scripting and multi-statement transactions are not available yet; send the statements one by one"),
    ("COMMIT", "multi-statement transactions are not available yet; each statement commits by itself"),
    ("ROLLBACK", "multi-statement transactions are not available yet; each statement commits by itself"),
    ("START TRANSACTION", "multi-statement transactions are not available yet; each statement commits by itself"),
    ("DECLARE", "session variables are not available yet; use a parameter (:name)"),
    ("SET VARIABLE", "session variables are not available yet; use a parameter (:name)"),
    ("SET VAR", "session variables are not available yet; use a parameter (:name)"),
    ("EXECUTE IMMEDIATE", "send the statement itself, with parameters (:name)"),
    ("PREPARE", "send the statement itself, with parameters (:name)"),
    ("MSCK", "partitions of Delta tables need no repair"),
    ("FSCK", "run RESTORE TABLE … TO VERSION AS OF to return to a version whose files exist"),
    ("REORG", "rewriting a table is not available yet; use CREATE OR REPLACE TABLE … AS SELECT"),
    ("CONVERT", "read the files with parquet.`path` and write them with CREATE TABLE … AS SELECT"),
    ("UNDROP", "dropped tables cannot be brought back yet"),
    ("GENERATE", "manifests are not available; readers use the Delta log"),
    ("SYNC", "create the table with CREATE TABLE … LOCATION"),
    ("LOAD DATA", "use COPY INTO"),
    ("EXPORT", "read the table through its REST, Flight or Delta Sharing interface"),
    ("PUT", "use the Files API to move files"),
    ("GET", "use the Files API to move files"),
    ("REMOVE", "use the Files API to delete files"),
    ("LIST", "the Files API lists files: GET /api/2.0/fs/directories/Volumes/<catalog>/<schema>/<volume>"),
    ("DENY", "REVOKE the privilege where it was granted: privileges only add up"),
    ("REPAIR", "partitions of Delta tables need no repair"),
    ("ADD JAR", "run Java code on a cluster"),
    ("ADD FILE", "put the file into a volume"),
    ("CREATE MATERIALIZED VIEW", "use CREATE VIEW, or CREATE OR REPLACE TABLE … AS in a job"),
    ("CREATE OR REPLACE MATERIALIZED VIEW", "use CREATE VIEW, or CREATE OR REPLACE TABLE … AS in a job"),
    ("CREATE STREAMING TABLE", "load new files with COPY INTO in a job"),
    ("CREATE OR REFRESH STREAMING TABLE", "load new files with COPY INTO in a job"),
    ("CREATE POLICY", "use ALTER TABLE … SET ROW FILTER and ALTER COLUMN … SET MASK"),
    ("CREATE OR REPLACE POLICY", "use ALTER TABLE … SET ROW FILTER and ALTER COLUMN … SET MASK"),
    ("DROP POLICY", "use ALTER TABLE … DROP ROW FILTER and ALTER COLUMN … DROP MASK"),
    ("SHOW POLICIES", "read information_schema.row_filters and column_masks"),
    ("CREATE GLOBAL TEMPORARY VIEW", "use CREATE TEMPORARY VIEW"),
    ("CREATE OR REPLACE GLOBAL TEMPORARY VIEW", "use CREATE OR REPLACE TEMPORARY VIEW"),
    ("CREATE TEMPORARY TABLE", "use CREATE TEMPORARY VIEW, or a table that you drop"),
    ("CREATE TEMP TABLE", "use CREATE TEMPORARY VIEW, or a table that you drop"),
    ("CREATE BLOOMFILTER INDEX", "files are skipped by statistics; use CLUSTER BY"),
    ("CREATE SHARE", "use the shares API"),
    ("CREATE RECIPIENT", "use the recipients API"),
    ("CREATE PROVIDER", "use the providers API"),
    ("CREATE CONNECTION", "connect to the other system from a job"),
    ("CREATE FOREIGN CATALOG", "connect to the other system from a job"),
    ("CREATE EXTERNAL LOCATION", "use the external locations API"),
    ("CREATE STORAGE CREDENTIAL", "use the storage credentials API"),
    ("CREATE PROCEDURE", "stored procedures are not available yet"),
    ("CREATE OR REPLACE PROCEDURE", "stored procedures are not available yet"),
    ("CREATE GROUP", "use the SCIM groups API"),
    ("ALTER GROUP", "use the SCIM groups API"),
    ("ALTER SHARE", "use the shares API"),
    ("ALTER RECIPIENT", "use the recipients API"),
    ("ALTER EXTERNAL LOCATION", "use the external locations API"),
    ("ALTER STORAGE CREDENTIAL", "use the storage credentials API"),
    ("ALTER CONNECTION", "connect to the other system from a job"),
    ("ALTER MATERIALIZED VIEW", "alter the table or view that stands in for it"),
    ("ALTER STREAMING TABLE", "alter the table that stands in for it"),
    ("ALTER FUNCTION", "use CREATE OR REPLACE FUNCTION"),
    ("DROP SHARE", "use the shares API"),
    ("DROP RECIPIENT", "use the recipients API"),
    ("DROP CONNECTION", "connect to the other system from a job"),
    ("DROP EXTERNAL LOCATION", "use the external locations API"),
    ("DROP STORAGE CREDENTIAL", "use the storage credentials API"),
    ("DROP MATERIALIZED VIEW", "drop the table or view that stands in for it"),
    ("DROP TEMPORARY", "use DROP VIEW"),
    ("DROP PROCEDURE", "stored procedures are not available yet"),
    ("SHOW GROUPS", "use the SCIM groups API"),
    ("SHOW USERS", "use the SCIM users API"),
    ("SHOW SHARES", "use the shares API"),
    ("SHOW RECIPIENTS", "use the recipients API"),
    ("SHOW CONNECTIONS", "connections are not available yet"),
    ("SHOW EXTERNAL LOCATIONS", "use the external locations API"),
    ("SHOW STORAGE CREDENTIALS", "use the storage credentials API"),
    ("SHOW LOCKS", "Delta tables have no locks"),
    ("SHOW TABLES DROPPED", "dropped tables cannot be brought back yet"),
    ("SHOW PROCEDURES", "stored procedures are not available yet"),
    ("DESCRIBE SHARE", "use the shares API"),
    ("DESCRIBE EXTERNAL LOCATION", "use the external locations API"),
    ("DESCRIBE STORAGE CREDENTIAL", "use the storage credentials API"),
    ("DESCRIBE CONNECTION", "connections are not available yet"),
    ("DESCRIBE POLICY", "read information_schema.row_filters and column_masks"),
];

/// Clauses at which the parser stops: the words there, and what to do instead.
pub(super) const CLAUSES: &[(&str, &str)] = &[
    ("CONNECT BY", "write WITH RECURSIVE"),
    ("START WITH", "write WITH RECURSIVE"),
    ("MATCH_RECOGNIZE", "use window functions such as lag and lead"),
    ("PREWHERE", "write WHERE"),
    ("SETTINGS", "write SET key = value as a statement of its own"),
    ("TABLESAMPLE", "write WHERE rand() < 0.1, or LIMIT"),
    ("PIVOT", "write one aggregate with FILTER (WHERE …) for each value"),
    ("UNPIVOT", "write stack(…) or UNION ALL"),
    ("LATERAL", "select explode(column) in the SELECT list"),
    ("CHANGES", "use table_changes once it is available"),
    ("FOR VERSION", "reading an older version is not available yet"),
    ("FOR TIMESTAMP", "reading an older version is not available yet"),
    ("FOR SYSTEM_VERSION", "reading an older version is not available yet"),
    ("FOR SYSTEM_TIME", "reading an older version is not available yet"),
    ("VERSION AS OF", "reading an older version is not available yet"),
    ("TIMESTAMP AS OF", "reading an older version is not available yet"),
    ("CLUSTER BY", "sort with ORDER BY"),
    ("DISTRIBUTE BY", "leave it out: the planner distributes rows by itself"),
    ("SORT BY", "sort with ORDER BY"),
    ("FORMAT", "choose the result's format in the request"),
    ("WITH SCHEMA EVOLUTION", "add the columns with ALTER TABLE … ADD COLUMNS first"),
    ("WITH GRANT OPTION", "grant MANAGE to let others grant"),
    ("MATERIALIZED", "leave it out: the planner decides"),
    ("STORED", "write USING DELTA"),
    ("ROW FORMAT", "write USING DELTA"),
    ("SERDEPROPERTIES", "write USING DELTA"),
    ("CLUSTERED", "write CLUSTER BY (columns)"),
    ("SKEWED", "write CLUSTER BY (columns)"),
    ("COLLATE", "compare with lower(…)"),
    ("DEFAULT COLLATION", "compare with lower(…)"),
];

fn words_at(tokens: &[TokenWithSpan], position: usize, words: &str) -> bool {
    words
        .split(' ')
        .enumerate()
        .all(|(n, word)| tokens.get(position + n).is_some_and(|token| is_word(&token.token, word)))
}

/// The refusal of a statement that opens with `tokens`, if it is a known one.
pub(super) fn statement(tokens: &[TokenWithSpan]) -> Option<SyntaxError> {
    let (words, hint) = STATEMENTS.iter().find(|(words, _)| words_at(tokens, 0, words))?;
    let start = tokens.first().map(|token| token.span.start)?;
    Some(SyntaxError::unsupported(*words, *hint).at(start.line, start.column))
}

/// The refusal of the clause that begins at `position`, if it is a known one.
pub(super) fn clause_at(tokens: &[TokenWithSpan], position: usize) -> Option<SyntaxError> {
    match tokens.get(position).map(|token| &token.token) {
        Some(Token::AtSign) => Some(SyntaxError::unsupported(
            "a version after @ (table@v1)",
            "reading an older version is not available yet",
        )),
        Some(Token::VerticalBarRightAngleBracket) => Some(super::strict::pipe_operator()),
        Some(Token::Word(_)) => {
            let (words, hint) = CLAUSES.iter().find(|(words, _)| words_at(tokens, position, words))?;
            Some(SyntaxError::unsupported(*words, *hint))
        }
        _ => None,
    }
}

/// Where these words first stand, to point at a clause that was found in the tree.
pub(super) fn find(tokens: &[TokenWithSpan], words: &str) -> Option<usize> {
    (0..tokens.len()).find(|position| words_at(tokens, *position, words))
}
