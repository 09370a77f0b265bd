//! What Databricks SQL has and Crannog does not, by name: each entry says what to do instead.
//!
//! Two tables: statements, by the words that they begin with, and clauses, by the word at which sqlparser gives up.
//! Clauses that sqlparser can parse are refused in `strict`. An entry disappears when the feature arrives.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{cursor::is_word, error::SyntaxError};

// What several of them say.
const SHARING: &str = "sharing is not available yet; grant SELECT to somebody of this server";
const OTHER_SYSTEMS: &str =
    "other systems are not connected yet; put their data into a volume and load it with COPY INTO";
const LOCATIONS: &str =
    "`external_locations` of the server's configuration names the folders that CREATE TABLE … LOCATION takes";
const OBJECT_STORES: &str =
    "object stores are not available yet; CREATE TABLE … LOCATION takes a folder of the server's machine";
const POLICIES: &str = "policies are not available yet; grant a view that leaves rows or columns out";
const WHO_MAY_READ: &str = "policies are not available yet; SHOW GRANTS tells who may read";
const NO_PROCEDURES: &str = "stored procedures are not available yet";
/// For changes of whole partitions.
pub(super) const NO_DELETE: &str = "DELETE is not available yet; INSERT INTO … REPLACE WHERE writes partitions anew";
const OLDER_VERSION: &str = "reading an older version is not available yet";

/// Statements: opening words, and what to do instead.
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("CACHE", "leave it out: Crannog keeps footers and table state in memory by itself"),
    ("UNCACHE", "leave it out: there is no cache to manage"),
    ("CLEAR CACHE", "leave it out: there is no cache to manage"),
    ("REFRESH FUNCTION", "leave it out: functions are always current"),
    ("REFRESH MATERIALIZED VIEW", "rebuild the table with CREATE OR REPLACE TABLE … AS"),
    ("REFRESH STREAMING TABLE", "load new files with COPY INTO"),
    ("REFRESH FOREIGN", OTHER_SYSTEMS),
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
    ("FSCK", "bring the files back: a table whose files are missing is read as soon as they are there"),
    ("REORG", "rewriting a table is not available yet; use CREATE OR REPLACE TABLE … AS SELECT"),
    ("CONVERT", "read the files with parquet.`path` and write them with CREATE TABLE … AS SELECT"),
    ("UNDROP", "dropped tables cannot be brought back yet"),
    ("GENERATE", "manifests are not available; readers use the Delta log"),
    ("SYNC", "create the table with CREATE TABLE … LOCATION"),
    ("LOAD DATA", "use COPY INTO"),
    (
        "EXPORT",
        "read the table by its path, with credentials of POST /api/2.1/unity-catalog/temporary-table-credentials",
    ),
    ("PUT", "upload with `crannog files put`, databricks-sdk's files.upload, or the Files API"),
    ("GET", "download with `crannog files get`, databricks-sdk's files.download, or the Files API"),
    ("REMOVE", "delete with `crannog files delete`, databricks-sdk's files.delete, or the Files API"),
    (
        "LIST",
        "list with `crannog files list /Volumes/<catalog>/<schema>/<volume>`, or GET /api/2.0/fs/directories/Volumes/<catalog>/<schema>/<volume>",
    ),
    ("DENY", "REVOKE the privilege where it was granted: privileges only add up"),
    ("REPAIR", "partitions of Delta tables need no repair"),
    ("ADD JAR", "Java code is not run yet; write it as SQL, or read the table with Spark by its path"),
    ("ADD FILE", "put the file into a volume"),
    ("CREATE MATERIALIZED VIEW", "use CREATE VIEW, or run CREATE OR REPLACE TABLE … AS as often as the rows change"),
    (
        "CREATE OR REPLACE MATERIALIZED VIEW",
        "use CREATE VIEW, or run CREATE OR REPLACE TABLE … AS as often as the rows change",
    ),
    ("CREATE STREAMING TABLE", "load new files with COPY INTO, as often as they come"),
    ("CREATE OR REFRESH STREAMING TABLE", "load new files with COPY INTO, as often as they come"),
    ("CREATE POLICY", POLICIES),
    ("CREATE OR REPLACE POLICY", POLICIES),
    ("DROP POLICY", POLICIES),
    ("SHOW POLICIES", WHO_MAY_READ),
    ("CREATE GLOBAL TEMPORARY VIEW", "use WITH inside the statement, or CREATE VIEW and DROP VIEW"),
    ("CREATE OR REPLACE GLOBAL TEMPORARY VIEW", "use WITH inside the statement, or CREATE OR REPLACE VIEW"),
    ("CREATE TEMPORARY TABLE", "use WITH inside the statement, or a table that you drop"),
    ("CREATE TEMP TABLE", "use WITH inside the statement, or a table that you drop"),
    ("CREATE BLOOMFILTER INDEX", "files are skipped by statistics; leave it out"),
    ("CREATE SHARE", SHARING),
    ("CREATE RECIPIENT", SHARING),
    (
        "CREATE PROVIDER",
        "sharing is not available yet; a table of somebody else's is taken in with CREATE TABLE … LOCATION",
    ),
    ("CREATE CONNECTION", OTHER_SYSTEMS),
    ("CREATE FOREIGN CATALOG", OTHER_SYSTEMS),
    ("CREATE EXTERNAL LOCATION", LOCATIONS),
    ("CREATE STORAGE CREDENTIAL", OBJECT_STORES),
    ("CREATE PROCEDURE", NO_PROCEDURES),
    ("CREATE OR REPLACE PROCEDURE", NO_PROCEDURES),
    ("CREATE GROUP", "use `crannog group create`, databricks-sdk's groups.create, or SCIM"),
    ("ALTER GROUP", "use `crannog group add` and `remove`, databricks-sdk's groups.patch, or SCIM"),
    ("ALTER SHARE", SHARING),
    ("ALTER RECIPIENT", SHARING),
    ("ALTER EXTERNAL LOCATION", LOCATIONS),
    ("ALTER STORAGE CREDENTIAL", OBJECT_STORES),
    ("ALTER CONNECTION", OTHER_SYSTEMS),
    ("ALTER MATERIALIZED VIEW", "alter the table or view that stands in for it"),
    ("ALTER STREAMING TABLE", "alter the table that stands in for it"),
    ("ALTER FUNCTION", "functions are not available yet; write the expression where it is used"),
    ("DROP SHARE", SHARING),
    ("DROP RECIPIENT", SHARING),
    ("DROP CONNECTION", OTHER_SYSTEMS),
    ("DROP EXTERNAL LOCATION", LOCATIONS),
    ("DROP STORAGE CREDENTIAL", OBJECT_STORES),
    ("DROP MATERIALIZED VIEW", "drop the table or view that stands in for it"),
    ("DROP TEMPORARY", "use DROP VIEW"),
    ("DROP PROCEDURE", NO_PROCEDURES),
    ("SHOW GROUPS", "use `crannog group list`, databricks-sdk's groups.list, or SCIM"),
    ("SHOW USERS", "use `crannog user list`, databricks-sdk's users.list, or SCIM"),
    ("SHOW SHARES", SHARING),
    ("SHOW RECIPIENTS", SHARING),
    ("SHOW CONNECTIONS", OTHER_SYSTEMS),
    ("SHOW EXTERNAL LOCATIONS", LOCATIONS),
    ("SHOW STORAGE CREDENTIALS", OBJECT_STORES),
    ("SHOW LOCKS", "Delta tables have no locks"),
    ("SHOW TABLES DROPPED", "dropped tables cannot be brought back yet"),
    ("SHOW PROCEDURES", NO_PROCEDURES),
    ("DESCRIBE SHARE", SHARING),
    ("DESCRIBE EXTERNAL LOCATION", LOCATIONS),
    ("DESCRIBE STORAGE CREDENTIAL", OBJECT_STORES),
    ("DESCRIBE CONNECTION", OTHER_SYSTEMS),
    ("DESCRIBE POLICY", WHO_MAY_READ),
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
    ("CHANGES", "changes of a table are not available yet; DESCRIBE HISTORY tells its versions"),
    ("FOR VERSION", OLDER_VERSION),
    ("FOR TIMESTAMP", OLDER_VERSION),
    ("FOR SYSTEM_VERSION", OLDER_VERSION),
    ("FOR SYSTEM_TIME", OLDER_VERSION),
    ("VERSION AS OF", OLDER_VERSION),
    ("TIMESTAMP AS OF", OLDER_VERSION),
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
    ("CLUSTERED", "write PARTITIONED BY (columns)"),
    ("SKEWED", "write PARTITIONED BY (columns)"),
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
        Some(Token::AtSign) => Some(SyntaxError::unsupported("a version after @ (table@v1)", OLDER_VERSION)),
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
