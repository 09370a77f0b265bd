-- Expressions whose golden answers come from Apache Spark. One a line; each stands for `SELECT <line>`.
-- `-- section: NAME` starts a section; `-- timezone: ZONE` sets the session time zone from there on.
-- timezone: UTC
-- section: arithmetic
1 + 1
1 - 2
2 * 3
1 / 2
4 / 2
1 / 3
-1 / 2
5 DIV 2
-5 DIV 2
5 DIV -2
5L DIV 2
5.5 DIV 2
-5.5 DIV 2
5 % 3
-5 % 3
5 % -3
-5 % -3
5.5 % 2
-5.5 % 2
5 MOD 3
-7 MOD 3
pmod(-7, 3)
pmod(7, -3)
pmod(-7, -3)
pmod(-7.5, 2)
mod(7, 3)
mod(-7, 3)
1 / 0
1 DIV 0
1 % 0
pmod(1, 0)
1.0 / 0
1.0D / 0.0D
0.0D / 0.0D
1.0 % 0
1.0D % 0.0D
0 / 0
NULL / 0
1 / NULL
2147483647 + 1
-2147483648 - 1
2147483647 * 2
2147483647L + 1
2147483647 + 1L
9223372036854775807 + 1
-9223372036854775808 - 1
9223372036854775807 * 2
-9223372036854775808
9223372036854775808
-(-2147483648)
- (-9223372036854775808L)
abs(-2147483648)
-2147483648 DIV -1
-9223372036854775808L DIV -1
-2147483648 % -1
127Y + 1Y
32767S + 1S
127Y + 1
1Y + 1S
1Y + 1L
1S * 1.5
100Y * 2Y
try_add(2147483647, 1)
try_subtract(-2147483648, 1)
try_multiply(2147483647, 2)
try_divide(1, 0)
try_divide(1, 2)
try_mod(5, 0)
try_add(DATE'2024-01-31', 1)
+5
-'5'
+'5'
- -5
~5
1 + 2 * 3
(1 + 2) * 3
10 - 2 - 3
2 * 3 % 4
10 / 4 * 2
10 DIV 4 * 2
1.5 + 1
1.5 + 1.25
1.5 * 1.25
1.5 / 1.25
1.5 - 1.25
1.0 / 3.0
1 / 3.0
1.0 / 3
10.00 / 3
1.5 + 1.5D
1e3 + 1
1.1 + 2.2
1.1D + 2.2D
0.1D + 0.2D
0.1 + 0.2
CAST(1 AS FLOAT) / 3
CAST(1 AS FLOAT) / CAST(3 AS FLOAT)
CAST(0.1 AS FLOAT) + CAST(0.2 AS FLOAT)
CAST(0.1 AS FLOAT) + 0.2D
CAST(0.1 AS FLOAT) = 0.1D
CAST(1 AS FLOAT) + 1
CAST(1 AS FLOAT) + 1L
CAST(1 AS FLOAT) + 1.5
1 + NULL
NULL + NULL
typeof(NULL + NULL)
positive(5)
negative(5)
-0.0D
0.0D = -0.0D
1e308 * 10
-1e308 * 10
1D / 3
100 * 1.1
100 * 1.1D
3 * 0.1
1.0D * 1e20
123456789 * 1000.0D
1e-5 * 1
div(7, 2)
7 / 2.0
7.0 / 2
-7 / 2
1 / 1
0 / 5
-0.0 * 1
-- section: decimal
CAST(1.1 AS DECIMAL(10,2)) + CAST(2.22 AS DECIMAL(5,3))
CAST(1.1 AS DECIMAL(10,2)) * CAST(2.22 AS DECIMAL(5,3))
CAST(1.1 AS DECIMAL(10,2)) / CAST(2.22 AS DECIMAL(5,3))
CAST(1.1 AS DECIMAL(10,2)) - CAST(2.22 AS DECIMAL(5,3))
CAST(10 AS DECIMAL(10,2)) % CAST(3 AS DECIMAL(5,3))
CAST(10 AS DECIMAL(10,2)) + 1
CAST(10 AS DECIMAL(10,2)) + 1L
CAST(10 AS DECIMAL(10,2)) * 2
CAST(10 AS DECIMAL(10,2)) / 3
CAST(10 AS DECIMAL(10,2)) DIV 3
CAST(10 AS DECIMAL(10,2)) + 1.5D
CAST(10 AS DECIMAL(10,2)) + '1'
CAST(1 AS DECIMAL(38,0)) + CAST(1 AS DECIMAL(38,0))
CAST(1 AS DECIMAL(38,10)) * CAST(1 AS DECIMAL(38,10))
CAST(1 AS DECIMAL(38,18)) * CAST(1 AS DECIMAL(38,18))
CAST(1 AS DECIMAL(38,18)) / CAST(3 AS DECIMAL(38,18))
CAST(1 AS DECIMAL(20,0)) / CAST(3 AS DECIMAL(20,0))
CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0)) + 1
CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0)) * 2
99999999999999999999999999999999999999
999999999999999999999999999999999999999
typeof(1.5 + 1)
typeof(1.5 * 1.25)
typeof(1.0 / 3.0)
typeof(1 / 3.0)
typeof(1.5 + 1L)
typeof(CAST(1 AS DECIMAL(38,18)) * CAST(1 AS DECIMAL(38,18)))
typeof(CAST(1 AS DECIMAL(38,10)) + CAST(1 AS DECIMAL(38,5)))
typeof(CAST(1 AS DECIMAL(10,2)) % CAST(1 AS DECIMAL(5,3)))
typeof(CAST(1 AS DECIMAL(10,2)) DIV CAST(1 AS DECIMAL(5,3)))
typeof(-1.50)
typeof(0.1)
typeof(.5)
typeof(5.)
typeof(00.50)
typeof(123456789012345678901234567890)
typeof(1.5BD)
1.5BD + 1BD
CAST(123.456 AS DECIMAL(5,2))
CAST(123.455 AS DECIMAL(5,2))
CAST(-123.455 AS DECIMAL(5,2))
CAST(1234.5 AS DECIMAL(5,2))
CAST('123.456' AS DECIMAL(5,2))
CAST(1.0 AS DECIMAL(10,5))
CAST(1 AS DECIMAL)
CAST(1.7 AS DECIMAL)
CAST(1e10 AS DECIMAL(10,0))
CAST(0.000001 AS STRING)
CAST(0.0000001 AS STRING)
CAST(CAST(0 AS DECIMAL(10,8)) AS STRING)
1.10 = 1.1
1.10
round(1.10, 1)
CAST(1 AS DECIMAL(5,2)) = 1
CAST(1 AS DECIMAL(5,2)) = 1.0D
sum(a) FROM VALUES (1.10), (2.25) AS t(a)
avg(a) FROM VALUES (1.10), (2.25), (3.33) AS t(a)
abs(CAST(-1.50 AS DECIMAL(5,2)))
greatest(1.5, 2)
coalesce(1.5, 2)
coalesce(CAST(1 AS DECIMAL(10,2)), CAST(1 AS DECIMAL(12,6)))
CASE WHEN true THEN 1.5 ELSE 2.25 END
-- section: comparison and null
1 = 1
1 == 1
1 <> 2
1 != 2
1 < 2
2 >= 2
NULL = NULL
NULL <=> NULL
1 <=> NULL
1 <=> 1
NULL = 1
NULL <> NULL
1 = 1.0
1 = 1.0D
'1' = 1
'a' = 1
'1.0' = 1
'1.0' = 1.0
'a' < 'b'
'a' < 'B'
'A' = 'a'
'a' = 'a '
'abc' < 'abcd'
true = 1
true = 'true'
true AND NULL
false AND NULL
true OR NULL
false OR NULL
NOT NULL
NOT true
! true
true AND false OR true
1 IN (1, 2)
3 IN (1, 2)
3 IN (1, NULL)
1 IN (1, NULL)
NULL IN (1, 2)
3 NOT IN (1, NULL)
3 NOT IN (1, 2)
1 IN ('1', '2')
1.0 IN (1, 2)
'a' IN ('a', 'b')
(1, 2) IN ((1, 2), (3, 4))
5 BETWEEN 1 AND 10
5 BETWEEN 10 AND 1
5 NOT BETWEEN 1 AND 3
NULL BETWEEN 1 AND 2
5 BETWEEN NULL AND 3
5 BETWEEN 1 AND NULL
'b' BETWEEN 'a' AND 'c'
NULL IS NULL
1 IS NULL
1 IS NOT NULL
NULL IS NOT NULL
true IS TRUE
NULL IS TRUE
NULL IS NOT FALSE
NULL IS UNKNOWN
1 IS DISTINCT FROM NULL
NULL IS NOT DISTINCT FROM NULL
isnull(NULL)
isnotnull(1)
isnan(CAST('NaN' AS DOUBLE))
isnan(1.0D)
isnan(NULL)
CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)
CAST('NaN' AS DOUBLE) > CAST('Infinity' AS DOUBLE)
CAST('NaN' AS DOUBLE) < 1.0D
nanvl(CAST('NaN' AS DOUBLE), 5)
equal_null(NULL, NULL)
DATE'2024-01-01' = '2024-01-01'
DATE'2024-01-01' < '2024-02-01'
DATE'2024-01-01' = 'x'
DATE'2024-01-01' = TIMESTAMP'2024-01-01 00:00:00'
DATE'2024-01-01' < TIMESTAMP'2024-01-01 00:00:01'
TIMESTAMP'2024-01-01 00:00:00' = '2024-01-01'
TIMESTAMP'2024-01-01 00:00:00' > '2023-12-31 23:00:00'
TIMESTAMP_NTZ'2024-01-01 00:00:00' = TIMESTAMP'2024-01-01 00:00:00'
array(1, 2) = array(1, 2)
array(1, 2) < array(1, 3)
array(1, NULL) = array(1, NULL)
struct(1, 'a') = struct(1, 'a')
struct(1, 2) < struct(1, 3)
map(1, 2) = map(1, 2)
X'01' < X'02'
X'01' = X'01'
1 = true
'abc' = NULL
-- section: conditional
CASE WHEN 1 > 2 THEN 'a' WHEN 1 < 2 THEN 'b' ELSE 'c' END
CASE WHEN 1 > 2 THEN 'a' END
CASE 1 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END
CASE NULL WHEN NULL THEN 'n' ELSE 'e' END
CASE WHEN NULL THEN 1 ELSE 2 END
CASE WHEN true THEN 1 ELSE 2L END
CASE WHEN true THEN 1 ELSE 2.5 END
CASE WHEN true THEN 1 ELSE 'a' END
CASE WHEN false THEN 1 ELSE '2' END
CASE WHEN true THEN 1 ELSE 1/0 END
CASE WHEN true THEN DATE'2024-01-01' ELSE TIMESTAMP'2024-01-01 01:00:00' END
if(1 > 2, 'a', 'b')
if(NULL, 'a', 'b')
if(true, 1, 2.5)
coalesce(NULL, NULL, 3)
coalesce(NULL, NULL)
coalesce(1, 1/0)
coalesce(1, 'a')
coalesce(NULL, '1')
coalesce(1, 2.5)
coalesce(1, 2.5D)
nullif(1, 1)
nullif(1, 2)
nullif(NULL, 1)
nullif('a', 'b')
ifnull(NULL, 1)
nvl(NULL, 1)
nvl(1, 2)
nvl2(NULL, 1, 2)
nvl2(5, 1, 2)
zeroifnull(NULL)
nullifzero(0)
decode(2, 1, 'one', 2, 'two', 'other')
decode(NULL, NULL, 'null!', 'other')
decode(3, 1, 'one')
greatest(1, 2, 3)
greatest(1, NULL, 3)
greatest(NULL, NULL)
greatest('a', 'B')
greatest(1, '2')
greatest(CAST('NaN' AS DOUBLE), 1.0D)
least(1, 2, 3)
least(1, NULL, 3)
least(CAST('NaN' AS DOUBLE), 1.0D)
least(DATE'2024-01-01', DATE'2023-01-01')
greatest(1)
assert_true(1 = 1)
assert_true(1 = 2)
raise_error('boom')
-- section: cast
CAST('1' AS INT)
CAST(' 1 ' AS INT)
CAST('1\n' AS INT)
CAST('+1' AS INT)
CAST('-1' AS INT)
CAST('1.5' AS INT)
CAST('1.' AS INT)
CAST('' AS INT)
CAST(' ' AS INT)
CAST('a' AS INT)
CAST('1e3' AS INT)
CAST('0x10' AS INT)
CAST('1_000' AS INT)
CAST('2147483648' AS INT)
CAST('-2147483648' AS INT)
CAST('9223372036854775808' AS BIGINT)
CAST('128' AS TINYINT)
CAST('127' AS TINYINT)
CAST('32768' AS SMALLINT)
CAST(1.5 AS INT)
CAST(1.9 AS INT)
CAST(-1.9 AS INT)
CAST(1.9D AS INT)
CAST(-1.9D AS INT)
CAST(1e10D AS INT)
CAST(1e10 AS BIGINT)
CAST(1e30 AS BIGINT)
CAST(CAST('NaN' AS DOUBLE) AS INT)
CAST(CAST('Infinity' AS DOUBLE) AS BIGINT)
CAST(300 AS TINYINT)
CAST(70000 AS SMALLINT)
CAST(3000000000 AS INT)
CAST(true AS INT)
CAST(false AS BIGINT)
CAST(true AS STRING)
CAST(true AS DOUBLE)
CAST(true AS DECIMAL(5,2))
CAST(1 AS BOOLEAN)
CAST(0 AS BOOLEAN)
CAST(2 AS BOOLEAN)
CAST(0.0 AS BOOLEAN)
CAST(0.5D AS BOOLEAN)
CAST('true' AS BOOLEAN)
CAST('TRUE' AS BOOLEAN)
CAST('t' AS BOOLEAN)
CAST('yes' AS BOOLEAN)
CAST('y' AS BOOLEAN)
CAST('1' AS BOOLEAN)
CAST('no' AS BOOLEAN)
CAST('f' AS BOOLEAN)
CAST('0' AS BOOLEAN)
CAST('on' AS BOOLEAN)
CAST('2' AS BOOLEAN)
CAST(' true ' AS BOOLEAN)
CAST('' AS BOOLEAN)
CAST('1.5' AS DOUBLE)
CAST(' 1.5 ' AS DOUBLE)
CAST('1e3' AS DOUBLE)
CAST('.5' AS DOUBLE)
CAST('5.' AS DOUBLE)
CAST('1.5d' AS DOUBLE)
CAST('1.5f' AS DOUBLE)
CAST('NaN' AS DOUBLE)
CAST('nan' AS DOUBLE)
CAST('inf' AS DOUBLE)
CAST('-Infinity' AS DOUBLE)
CAST('infinity' AS FLOAT)
CAST('abc' AS DOUBLE)
CAST('' AS DOUBLE)
CAST('1e400' AS DOUBLE)
CAST('1.5' AS FLOAT)
CAST(1.1D AS FLOAT)
CAST(CAST(1.1 AS FLOAT) AS DOUBLE)
CAST('1.5' AS DECIMAL(10,2))
CAST(' 1.5 ' AS DECIMAL(10,2))
CAST('1e2' AS DECIMAL(10,2))
CAST('abc' AS DECIMAL(10,2))
CAST('' AS DECIMAL(10,2))
CAST('99999' AS DECIMAL(4,2))
CAST(1.005D AS DECIMAL(10,2))
CAST(12345 AS DECIMAL(4,0))
CAST(1 AS STRING)
CAST(1.0 AS STRING)
CAST(1.50 AS STRING)
CAST(1.0D AS STRING)
CAST(1e7D AS STRING)
CAST(1e6D AS STRING)
CAST(12345678.9D AS STRING)
CAST(0.001D AS STRING)
CAST(0.0001D AS STRING)
CAST(1e100D AS STRING)
CAST(-0.0D AS STRING)
CAST(100000000D AS STRING)
CAST(1.0E-10D AS STRING)
CAST(CAST(1.1 AS FLOAT) AS STRING)
CAST(CAST(1e10 AS FLOAT) AS STRING)
CAST(CAST(16777216 AS FLOAT) AS STRING)
CAST(2e-3D AS STRING)
CAST(4.9E-324D AS STRING)
CAST(1.7976931348623157E308D AS STRING)
CAST(123456789.123456789D AS STRING)
CAST(DATE'2024-01-31' AS STRING)
CAST(TIMESTAMP'2024-01-31 12:30:00' AS STRING)
CAST(TIMESTAMP'2024-01-31 12:30:00.120' AS STRING)
CAST(TIMESTAMP'2024-01-31 12:30:00.123456' AS STRING)
CAST(TIMESTAMP_NTZ'2024-01-31 12:30:00' AS STRING)
CAST(array(1, 2, NULL) AS STRING)
CAST(array('a', 'b') AS STRING)
CAST(map('a', 1, 'b', NULL) AS STRING)
CAST(named_struct('a', 1, 'b', NULL) AS STRING)
CAST(struct(1, 'x', array(1)) AS STRING)
CAST(X'616263' AS STRING)
CAST('abc' AS BINARY)
CAST(1 AS BINARY)
CAST(258 AS BINARY)
CAST(NULL AS INT)
CAST(NULL AS STRING)
CAST(INTERVAL '1' DAY AS STRING)
CAST(INTERVAL '1-2' YEAR TO MONTH AS STRING)
CAST(INTERVAL '1 02:03:04.5' DAY TO SECOND AS STRING)
CAST(INTERVAL 3 MONTHS AS STRING)
CAST(INTERVAL '10' SECOND AS INT)
CAST('INTERVAL 1 DAY' AS INTERVAL DAY)
CAST('1' AS INTERVAL DAY)
CAST(5 AS INTERVAL DAY)
CAST('2024-01-31' AS DATE)
CAST(' 2024-01-31 ' AS DATE)
CAST('2024-1-5' AS DATE)
CAST('2024-01' AS DATE)
CAST('2024' AS DATE)
CAST('2024-01-31 12:00:00' AS DATE)
CAST('2024-01-31T12:00:00' AS DATE)
CAST('2024-01-31abc' AS DATE)
CAST('2024-02-30' AS DATE)
CAST('2023-02-29' AS DATE)
CAST('2024/01/31' AS DATE)
CAST('20240131' AS DATE)
CAST('31-01-2024' AS DATE)
CAST('' AS DATE)
CAST('epoch' AS DATE)
CAST('0001-01-01' AS DATE)
CAST('9999-12-31' AS DATE)
CAST(TIMESTAMP'2024-01-31 23:59:59' AS DATE)
CAST(1 AS DATE)
CAST('2024-01-31 12:30:00' AS TIMESTAMP)
CAST('2024-01-31' AS TIMESTAMP)
CAST('2024-01-31 12:30' AS TIMESTAMP)
CAST('2024-01-31 12' AS TIMESTAMP)
CAST('2024-01-31T12:30:00Z' AS TIMESTAMP)
CAST('2024-01-31T12:30:00+02:00' AS TIMESTAMP)
CAST('2024-01-31 12:30:00 America/New_York' AS TIMESTAMP)
CAST('2024-01-31 12:30:00 EST' AS TIMESTAMP)
CAST('2024-01-31 12:30:00 UTC+3' AS TIMESTAMP)
CAST('2024-01-31 12:30:00.123456789' AS TIMESTAMP)
CAST('2024-01-31 12:30:00.1' AS TIMESTAMP)
CAST(' 2024-01-31 12:30:00 ' AS TIMESTAMP)
CAST('2024-01-31 25:00:00' AS TIMESTAMP)
CAST('2024-01-31 24:00:00' AS TIMESTAMP)
CAST('12:30:00' AS TIMESTAMP) IS NOT NULL
CAST('abc' AS TIMESTAMP)
CAST('2024' AS TIMESTAMP)
CAST(DATE'2024-01-31' AS TIMESTAMP)
CAST(0 AS TIMESTAMP)
CAST(1700000000 AS TIMESTAMP)
CAST(1.5 AS TIMESTAMP)
CAST(1.5D AS TIMESTAMP)
CAST(true AS TIMESTAMP)
CAST(TIMESTAMP'2024-01-01 00:00:00' AS BIGINT)
CAST(TIMESTAMP'2024-01-01 00:00:00' AS INT)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS DOUBLE)
CAST(TIMESTAMP'2024-01-01 00:00:00.7' AS BIGINT)
CAST(TIMESTAMP'1969-12-31 23:59:59.5' AS BIGINT)
CAST(TIMESTAMP'2024-01-01 00:00:00.5' AS DECIMAL(20,6))
CAST('2024-01-31 12:30:00' AS TIMESTAMP_NTZ)
CAST('2024-01-31 12:30:00+02:00' AS TIMESTAMP_NTZ)
CAST(TIMESTAMP'2024-01-31 12:30:00' AS TIMESTAMP_NTZ)
CAST(DATE'2024-01-31' AS INT)
CAST(array(1, 2) AS ARRAY<STRING>)
CAST(array('1', 'a') AS ARRAY<INT>)
CAST(map('1', '2') AS MAP<INT, BIGINT>)
CAST(named_struct('a', 1, 'b', '2') AS STRUCT<x: STRING, y: INT>)
CAST(array(1, 2) AS INT)
'5'::INT
1::STRING
'2024-01-01'::DATE
1.5::INT + 1
CAST('abc' AS CHAR(5))
CAST('abc' AS VARCHAR(2))
int('5')
string(5)
double('1.5')
date('2024-01-01')
timestamp('2024-01-01')
boolean('true')
bigint(5)
decimal('1.5')
float(1)
binary('a')
smallint(5)
tinyint(5)
-- section: try_cast
try_cast('a' AS INT)
try_cast('1' AS INT)
try_cast('2147483648' AS INT)
try_cast(3000000000 AS INT)
try_cast(300 AS TINYINT)
try_cast('1.5' AS INT)
try_cast('x' AS DOUBLE)
try_cast('x' AS BOOLEAN)
try_cast('2024-02-30' AS DATE)
try_cast('x' AS TIMESTAMP)
try_cast(12345 AS DECIMAL(4,0))
try_cast(1e30 AS BIGINT)
try_cast(array('1', 'a') AS ARRAY<INT>)
try_cast(1 AS DATE)
try_cast('' AS INT)
-- section: coercion
'1' + 1
'1' + 1L
'1.5' + 1
'1.5' + 1.5
'a' + 1
1 + '1'
'1' + '2'
'3' * '4'
'10' / 2
'10' % 3
'1' || 1
1 || 2
'5' > 10
'5' > '10'
5 > '10'
'2024-01-15' > DATE'2024-01-01'
DATE'2024-01-15' + '1'
'1' IN (1, 2)
typeof('1' + 1)
typeof('1' + 1.5)
typeof('1' + 1.5D)
typeof('1' * '1')
typeof(1 + 1L)
typeof(1Y + 1Y)
typeof(1 / 2)
typeof(1L / 2L)
typeof(5 DIV 2)
typeof(5 % 2L)
typeof(CAST(1 AS FLOAT) + 1)
typeof(CAST(1 AS FLOAT) + 1L)
typeof(CAST(1 AS FLOAT) + 1.5)
typeof(coalesce(1, 'a'))
typeof(coalesce(1, 1.5))
typeof(coalesce(1L, 1.5D))
typeof(coalesce(CAST(1 AS FLOAT), 1L))
typeof(array(1, 2L))
typeof(array(1, 1.5))
typeof(array(1, 'a'))
typeof(array(1, '2'))
typeof(array(NULL, 1))
typeof(map(1, 'a', 2L, NULL))
typeof(if(true, DATE'2024-01-01', '2024-01-01'))
typeof(if(true, DATE'2024-01-01', TIMESTAMP'2024-01-01 00:00:00'))
if(true, DATE'2024-01-01', '2024-01-02')
array(1, '2')
array(1, true)
concat(1, 'a')
length(12345)
upper(true)
substr(12345, 2)
abs('-5')
sqrt('16')
round('2.5')
'true' AND true
'x' AND true
1 AND true
sum(a) FROM VALUES ('1'), ('2') AS t(a)
sum(a) FROM VALUES ('1'), ('x') AS t(a)
avg(a) FROM VALUES ('1'), ('2') AS t(a)
max(a) FROM VALUES ('9'), ('10') AS t(a)
year('2024-05-01')
year('x')
month(TIMESTAMP'2024-05-01 00:00:00')
date_add('2024-01-01', 1)
datediff('2024-01-31', '2024-01-01')
hour('2024-01-01 13:00:00')
-- section: literals
1
-1
1L
1S
1Y
1.5
1.5D
1.5F
1.5BD
1e3
1E-3
1.5e3
1e3D
1e3BD
.5
X'1F'
X'1'
x'616263'
'abc'
"abc"
'it''s'
'it\'s'
"say ""hi"""
'a' 'b'
'a' "b"
'\t|\n'
'\\'
'\u0041'
'\x41'
'\101'
'\0' = chr(0)
'\%'
'\_'
'\q'
r'a\nb'
R'\d+'
r"a\b"
'naïve – 日本 🚀'
true
TRUE
FALSE
NULL
DATE'2024-01-31'
DATE '2024-1-1'
DATE'2024'
DATE'x'
TIMESTAMP'2024-01-31 12:30:00'
TIMESTAMP'2024-01-31T12:30:00Z'
TIMESTAMP'2024-01-31 12:30:00+05:30'
TIMESTAMP'2024-01-31'
TIMESTAMP'x'
TIMESTAMP_NTZ'2024-01-31 12:30:00'
TIMESTAMP_LTZ'2024-01-31 12:30:00'
INTERVAL 1 DAY
INTERVAL '1' DAY
INTERVAL 2 HOURS 30 MINUTES
INTERVAL 1 YEAR 2 MONTHS
INTERVAL '1-2' YEAR TO MONTH
INTERVAL '3 04:05:06' DAY TO SECOND
INTERVAL '04:05' HOUR TO MINUTE
INTERVAL 1 WEEK
INTERVAL '1 year 2 months'
INTERVAL -1 DAY
- INTERVAL 1 DAY
INTERVAL '1.5' SECOND
INTERVAL 1 MONTH 1 DAY
128Y
40000S
9999999999999999999L
typeof(1)
typeof(3000000000)
typeof(1e3)
typeof(1.5F)
typeof('a')
typeof(NULL)
typeof(X'00')
typeof(true)
typeof(DATE'2024-01-01')
typeof(TIMESTAMP'2024-01-01 00:00:00')
typeof(TIMESTAMP_NTZ'2024-01-01 00:00:00')
typeof(INTERVAL 1 DAY)
typeof(INTERVAL 1 YEAR)
typeof(INTERVAL 2 HOURS 30 MINUTES)
typeof(array())
typeof(array(1))
typeof(map())
typeof(map('a', 1))
typeof(struct(1, 'a'))
typeof(named_struct('x', 1, 'y', array('a')))
1 AS one, 'x' `two words`
1 AS `a.b`
-- section: strings
concat('a', 'b', 'c')
concat('a', NULL)
concat()
concat('a')
'a' || 'b'
'a' || NULL
concat(array(1), array(2, 3))
concat(X'01', X'02')
concat_ws('-', 'a', 'b', 'c')
concat_ws('-', 'a', NULL, 'c')
concat_ws(NULL, 'a', 'b')
concat_ws('-')
concat_ws(',', array('a', 'b'), 'c')
concat_ws(',', array('a', NULL, 'b'))
substr('Spark SQL', 5)
substr('Spark SQL', -3)
substr('Spark SQL', 0)
substr('Spark SQL', 0, 3)
substr('Spark SQL', 1, 3)
substr('Spark SQL', 5, 1)
substr('Spark SQL', -3, 2)
substr('Spark SQL', -20, 15)
substr('Spark SQL', 20)
substr('Spark SQL', 2, -1)
substr('Spark SQL', 2, 0)
substring('Spark SQL' FROM 5)
substring('Spark SQL' FROM 2 FOR 3)
substring('héllo', 2, 2)
substring(X'010203', 2, 1)
substring_index('www.apache.org', '.', 2)
substring_index('www.apache.org', '.', -2)
substring_index('www.apache.org', '.', 0)
substring_index('www.apache.org', 'x', 1)
left('Spark', 3)
left('Spark', -1)
left('Spark', 10)
right('Spark', 3)
right('Spark', 0)
instr('SparkSQL', 'SQL')
instr('SparkSQL', 'x')
instr('SparkSQL', '')
instr(NULL, 'a')
locate('bar', 'foobarbar')
locate('bar', 'foobarbar', 5)
locate('bar', 'foobarbar', 0)
locate('', 'abc')
position('bar', 'foobarbar')
position('bar' IN 'foobarbar')
find_in_set('ab', 'abc,b,ab,c,def')
find_in_set('z', 'a,b')
find_in_set('a,b', 'a,b')
lpad('hi', 5, 'ab')
lpad('hi', 1, '?')
lpad('hi', 5)
lpad('hi', 5, '')
lpad('hi', 0)
rpad('hi', 5, 'ab')
rpad('hi', 1, '?')
rpad('hi', 5) || '|'
lpad(X'01', 3, X'02')
trim('  a b  ')
ltrim('  a  ') || '|'
rtrim('  a  ') || '|'
trim('x', 'xxaxx')
trim(BOTH 'x' FROM 'xxaxx')
trim(LEADING 'x' FROM 'xxaxx')
trim(TRAILING 'xy' FROM 'aaxyx')
trim(BOTH FROM '  a ')
trim('\ta\n') = 'a'
btrim('  a ')
btrim('xxaxx', 'x')
ltrim('x', 'xxa')
rtrim('x', 'axx')
split('a,b,c', ',')
split('a,b,,', ',')
split('a,b,c', ',', 2)
split('a,b,c,,', ',', 0)
split('a,b,c', ',', -1)
split('a.b', '.')
split('a.b', '\\.')
split('abc', '')
split('oneAtwoBthree', '[ABC]')
split(NULL, ',')
split('', ',')
split_part('11.12.13', '.', 3)
split_part('11.12.13', '.', -1)
split_part('11.12.13', '.', 5)
split_part('11.12.13', '.', 0)
split_part('a.b', '', 1)
regexp_extract('100-200', '(\\d+)-(\\d+)', 1)
regexp_extract('100-200', '(\\d+)-(\\d+)', 2)
regexp_extract('100-200', '(\\d+)-(\\d+)')
regexp_extract('100-200', '(\\d+)-(\\d+)', 0)
regexp_extract('foo', '(\\d+)', 1)
regexp_extract('foo', '(\\d+)', 2)
regexp_extract('100-200', r'(\d+)-(\d+)', 3)
regexp_extract_all('100-200, 300-400', '(\\d+)-(\\d+)', 1)
regexp_extract_all('a', r'(\d)')
regexp_replace('100-200', '(\\d+)', 'num')
regexp_replace('100-200', '(\\d+)-(\\d+)', '$2-$1')
regexp_replace('aaa', 'a', 'b', 2)
regexp_replace('abc', '', '-')
regexp_replace('Hello', '(?i)h', 'J')
regexp_like('Steven', 'Ste(v|ph)en')
regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en')
regexp_substr('Steven Jones', 'Ste(v|ph)en')
regexp_substr('x', 'y')
regexp_instr(r'user@spark.apache.org', r'@[^.]*')
'Spark' RLIKE '^S'
'Spark' REGEXP 'park$'
'Spark' NOT RLIKE 'x'
'Spark' RLIKE '('
rlike('abc', 'b')
'Spark' LIKE 'S%'
'Spark' LIKE '_park'
'Spark' LIKE 'spark'
'Spark' NOT LIKE 'x%'
'Spark' ILIKE 'spark'
'Spark' ILIKE 's%'
'a%b' LIKE 'a\\%b'
'a%b' LIKE r'a\%b'
'axb' LIKE 'a\\%b'
'a_b' LIKE 'a/_b' ESCAPE '/'
'a/b' LIKE 'a//b' ESCAPE '/'
'a\nb' LIKE 'a%b'
'abc' LIKE 'a\\bc'
NULL LIKE 'a'
'a' LIKE NULL
'' LIKE ''
'abc' LIKE ''
'foo' LIKE ALL ('%fo%', '%oo%')
'foo' LIKE ANY ('x', '%oo%')
'foo' NOT LIKE ALL ('x', 'y')
like('Spark', '_park')
initcap('sPark sql hello-world')
initcap('o''neil ab_cd')
reverse('Spark SQL')
reverse('héé🚀')
reverse(array(1, 2, 3))
repeat('ab', 3)
repeat('ab', 0)
repeat('ab', -1)
space(3) || '|'
translate('AaBbCc', 'abc', '123')
translate('AaBbCc', 'abc', '1')
replace('ABCabc', 'abc', 'DEF')
replace('ABCabc', 'abc')
replace('abc', '', 'x')
ascii('A')
ascii('')
ascii('é')
ascii('🚀')
chr(65)
chr(233)
chr(321)
chr(-1)
chr(256 + 65)
char(97)
base64('Spark SQL')
base64(X'FF00')
unbase64('U3BhcmsgU1FM')
unbase64('!!')
hex(17)
hex(-1)
hex('Spark')
hex(X'0AFF')
unhex('537061726B')
unhex('1')
unhex('GG')
decode(unhex('537061726B'), 'UTF-8')
decode(X'616263', 'US-ASCII')
encode('abc', 'UTF-8')
encode('é', 'UTF-16BE')
encode('é', 'US-ASCII')
md5('Spark')
md5('')
sha1('Spark')
sha('Spark')
sha2('Spark', 256)
sha2('Spark', 0)
sha2('Spark', 224)
sha2('Spark', 512)
sha2('Spark', 384)
sha2('Spark', 1)
crc32('Spark')
length('Spark SQL ')
length('héllo')
length('🚀')
length('日本')
length(X'010203')
length(NULL)
length('')
len('abc')
char_length('Spark ')
character_length('Spark ')
octet_length('é')
octet_length('🚀')
bit_length('é')
upper('SparkSql é ß')
lower('SparkSql É İ')
ucase('a')
lcase('A')
startswith('Spark SQL', 'Spark')
startswith('Spark SQL', 'SQL')
startswith('Spark', NULL)
startswith('Spark', '')
endswith('Spark SQL', 'SQL')
contains('Spark SQL', 'Spark')
contains('Spark SQL', 'SPARK')
contains('a', '')
contains(X'0102', X'01')
overlay('Spark SQL' PLACING '_' FROM 6)
overlay('Spark SQL' PLACING 'CORE' FROM 7)
overlay('Spark SQL' PLACING 'ANSI ' FROM 7 FOR 0)
overlay('Spark SQL', 'tructured', 2, 4)
format_string('Hello World %d %s', 100, 'days')
format_string('%05d|%.2f|%x', 42, 3.14159D, 255)
format_string('%s', NULL)
format_string('%s %s', true, DATE'2024-01-01')
format_string('%-5s|', 'a')
printf('%d', 5)
format_number(12332.123456, 4)
format_number(12332.5, 0)
format_number(1234567, 2)
format_number(-1234.5, 1)
format_number(12332.123456, '##################.###')
soundex('Miller')
soundex('')
soundex('1a')
levenshtein('kitten', 'sitting')
levenshtein('', 'abc')
levenshtein('kitten', 'sitting', 2)
elt(1, 'scala', 'java')
elt(2, 'a', 'b')
elt(3, 'a', 'b')
sentences('Hi there! Good morning.')
luhn_check('8112189876')
mask('AbCD123-@$#')
mask('AbCD123-@$#', 'Q', 'q', 'd', 'o')
to_char(454, '999')
to_char(454.00, '000D00')
to_char(12454, '99G999')
to_char(78.12, '$99.99')
to_number('454', '999')
to_number('$78.12', '$99.99')
to_number('12,454', '99,999')
try_to_number('x', '999')
to_varchar(DATE'2024-01-31', 'yyyy')
to_binary('abc', 'utf-8')
to_binary('0A', 'hex')
try_to_binary('a!', 'base64')
parse_url('http://spark.apache.org/path?query=1#frag', 'HOST')
parse_url('http://spark.apache.org/path?query=1', 'QUERY')
parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query')
url_encode('https://spark.apache.org/a b')
url_decode('https%3A%2F%2Fspark.apache.org')
url_decode('%zz')
string(NULL)
'a' = 'A' COLLATE UTF8_LCASE
collation('a')
quote('it''s')
is_valid_utf8('a')
typeof(length('a'))
typeof(instr('a', 'a'))
typeof(split('a', ','))
typeof(crc32('a'))
typeof(ascii('a'))
typeof(levenshtein('a', 'b'))
typeof(unhex('00'))
typeof(octet_length('a'))
-- section: math
round(2.5)
round(-2.5)
round(3.5)
round(2.5D)
round(-2.5D)
round(0.5D)
round(1.25, 1)
round(-1.25, 1)
round(1.255D, 2)
round(2.675D, 2)
round(1234.567, -2)
round(1250, -2)
round(-1250, -2)
round(1250, 2)
round(2147483647, -1)
round(5.0)
round(NULL)
round(1.5D, 400)
round(CAST(2.5 AS FLOAT))
bround(2.5)
bround(3.5)
bround(-2.5)
bround(2.5D)
bround(1.25, 1)
bround(25, -1)
ceil(1.1)
ceil(-1.1)
ceil(1.1D)
ceil(-0.1D)
ceil(3.1411, 3)
ceil(3.1411, -1)
ceil(5)
ceiling(1.5)
ceil(1e20D)
floor(1.9)
floor(-1.1)
floor(-1.1D)
floor(3.1411, 3)
floor(35, -1)
floor(5L)
typeof(ceil(1.5))
typeof(ceil(1.5D))
typeof(floor(1))
typeof(ceil(1.55, 1))
typeof(round(2.5))
typeof(round(2.567, 1))
typeof(round(5, 1))
typeof(round(2.5D))
typeof(abs(-1Y))
typeof(pow(2, 3))
typeof(sqrt(4))
typeof(sign(5))
typeof(sum(a)) FROM VALUES (1) AS t(a)
typeof(avg(a)) FROM VALUES (1) AS t(a)
sqrt(16)
sqrt(2)
sqrt(-1)
sqrt(0)
cbrt(27)
cbrt(-8)
pow(2, 10)
pow(2, 0.5)
pow(-8, 1.0D / 3)
power(2, -1)
pow(0, 0)
exp(0)
exp(1)
exp(1000)
expm1(0)
ln(1)
ln(0)
ln(-1)
log(10, 100)
log(2, 8)
log(10)
log(0)
log(-1, 5)
log10(1000)
log10(0)
log2(8)
log1p(0)
log1p(-1)
sign(-5)
sign(0)
sign(5.5)
signum(-2.5D)
abs(-5)
abs(-5.5)
abs(-5.5D)
abs(NULL)
sin(0)
cos(0)
tan(0)
asin(1)
asin(2)
acos(1)
acos(2)
atan(1)
atan2(1, 1)
atan2(0, -1)
sinh(0)
cosh(0)
tanh(0)
asinh(0)
acosh(1)
acosh(0)
atanh(0)
atanh(1)
sec(0)
csc(1)
cot(1)
degrees(3.141592653589793D)
radians(180)
pi()
e()
factorial(5)
factorial(20)
factorial(21)
factorial(-1)
bin(13)
bin(-13)
conv('100', 2, 10)
conv('FF', 16, 10)
conv(-10, 16, -10)
conv('zz', 36, 10)
conv('11abc', 10, 16)
conv('', 10, 2)
hypot(3, 4)
rint(2.5)
rint(3.5)
rint(-2.5)
width_bucket(5.3, 0.2, 10.6, 5)
width_bucket(-2.1, 1.3, 3.4, 3)
width_bucket(8.1, 0.0, 5.7, 4)
width_bucket(5, 5, 0, 4)
width_bucket(5, 0, 10, 0)
uniform(1, 1, 0)
bit_count(7)
bit_count(-1)
bit_count(true)
bit_get(11, 0)
getbit(11, 2)
try_add(1, NULL)
-- section: bitwise
5 & 3
5 | 3
5 ^ 3
~0
-1 & 255
1Y | 2L
5 & NULL
shiftleft(1, 10)
shiftleft(1, 32)
shiftright(-8, 1)
shiftrightunsigned(-1, 28)
1 << 4
-16 >> 2
-16 >>> 28
1L << 40
'5' & 3
-- section: hash
hash('Spark')
hash('Spark', array(123), 2)
hash(1)
hash(1L)
hash(1.0D)
hash(0.0D)
hash(-0.0D)
hash(NULL)
hash(1, NULL, 'a')
hash(true)
hash(DATE'2024-01-01')
hash(TIMESTAMP'2024-01-01 00:00:00')
hash(1.50)
hash(CAST(1 AS DECIMAL(38,2)))
hash('')
hash('日本')
hash(X'0102')
hash(struct(1, 'a'))
hash(CAST(1 AS FLOAT))
hash(1Y)
hash(1S)
xxhash64('Spark')
xxhash64(1)
xxhash64(1L)
xxhash64(1.0D)
xxhash64(NULL)
xxhash64('a', 1, 2.5)
xxhash64('Spark', array(123), 2)
xxhash64('a long string that is more than thirty-two bytes long')
hash('a long string that is more than thirty-two bytes long')
xxhash64(DATE'2024-01-01')
-- section: dates
date_add(DATE'2024-01-31', 1)
date_add(DATE'2024-01-31', -31)
date_add('2024-02-28', 2)
date_add(DATE'2024-01-31', 1.5)
date_add(DATE'2024-01-31', '1')
date_add(NULL, 1)
dateadd(DAY, 5, DATE'2024-01-31')
dateadd(MONTH, 1, DATE'2024-01-31')
dateadd(HOUR, 1, TIMESTAMP'2024-01-31 23:30:00')
timestampadd(MINUTE, 90, TIMESTAMP'2024-01-31 23:30:00')
timestampadd(QUARTER, 1, TIMESTAMP'2024-01-31 00:00:00')
date_sub(DATE'2024-03-01', 1)
DATE'2024-01-31' + 1
DATE'2024-01-31' - 1
1 + DATE'2024-01-31'
DATE'2024-03-01' - DATE'2024-02-01'
TIMESTAMP'2024-03-01 12:00:00' - TIMESTAMP'2024-02-29 11:30:00'
TIMESTAMP'2024-03-01 12:00:00' - DATE'2024-02-29'
DATE'2024-01-31' + INTERVAL 1 MONTH
DATE'2024-01-31' + INTERVAL 1 DAY
DATE'2024-01-31' + INTERVAL 1 HOUR
DATE'2024-01-31' - INTERVAL 1 YEAR
DATE'2024-02-29' + INTERVAL 1 YEAR
TIMESTAMP'2024-01-31 10:00:00' + INTERVAL 1 MONTH
TIMESTAMP'2024-01-31 10:00:00' + INTERVAL '1 02:03:04' DAY TO SECOND
TIMESTAMP'2024-01-31 10:00:00' - INTERVAL 90 MINUTES
TIMESTAMP'2024-01-31 10:00:00' + 1
INTERVAL 1 DAY + INTERVAL 2 HOURS
INTERVAL 1 DAY * 2
INTERVAL 1 DAY * 1.5
INTERVAL 3 DAYS / 2
INTERVAL 1 MONTH + INTERVAL 1 DAY
INTERVAL 1 YEAR = INTERVAL 12 MONTHS
INTERVAL 1 DAY > INTERVAL 23 HOURS
INTERVAL 1 DAY / 0
datediff(DATE'2024-03-01', DATE'2024-02-01')
datediff(DATE'2024-02-01', DATE'2024-03-01')
date_diff(DATE'2024-03-01', DATE'2024-02-01')
datediff(MONTH, DATE'2024-01-31', DATE'2024-03-01')
datediff(HOUR, TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-02 01:59:00')
timestampdiff(YEAR, DATE'2020-02-29', DATE'2024-02-28')
datediff(TIMESTAMP'2024-01-02 00:00:00', TIMESTAMP'2024-01-01 23:59:59')
add_months(DATE'2024-01-31', 1)
add_months(DATE'2024-02-29', 12)
add_months(DATE'2024-02-29', -12)
add_months('2024-01-15', 2)
months_between('1997-02-28 10:30:00', '1996-10-30')
months_between('1997-02-28 10:30:00', '1996-10-30', false)
months_between(DATE'2024-03-31', DATE'2024-02-29')
months_between(DATE'2024-03-15', DATE'2024-01-15')
last_day(DATE'2024-02-10')
last_day('2023-02-10')
next_day(DATE'2024-01-31', 'MO')
next_day(DATE'2024-01-31', 'Wednesday')
next_day(DATE'2024-01-31', 'xx')
trunc(DATE'2024-05-17', 'MM')
trunc(DATE'2024-05-17', 'year')
trunc(DATE'2024-05-17', 'Q')
trunc(DATE'2024-05-17', 'week')
trunc(DATE'2024-05-17', 'day')
trunc('2024-05-17', 'yy')
date_trunc('MONTH', TIMESTAMP'2024-05-17 13:45:10.5')
date_trunc('YEAR', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('QUARTER', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('WEEK', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('DAY', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('HOUR', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('MINUTE', TIMESTAMP'2024-05-17 13:45:10')
date_trunc('SECOND', TIMESTAMP'2024-05-17 13:45:10.5')
date_trunc('MILLISECOND', TIMESTAMP'2024-05-17 13:45:10.123456')
date_trunc('month', DATE'2024-05-17')
date_trunc('xx', TIMESTAMP'2024-05-17 13:45:10')
typeof(date_trunc('month', DATE'2024-05-17'))
typeof(trunc(DATE'2024-05-17', 'MM'))
year(DATE'2024-05-17')
quarter(DATE'2024-05-17')
month(DATE'2024-05-17')
day(DATE'2024-05-17')
dayofmonth(DATE'2024-05-17')
dayofweek(DATE'2024-05-19')
dayofweek(DATE'2024-05-17')
weekday(DATE'2024-05-19')
dayofyear(DATE'2024-12-31')
weekofyear(DATE'2024-12-31')
weekofyear(DATE'2021-01-03')
dayname(DATE'2024-05-17')
monthname(DATE'2024-05-17')
hour(TIMESTAMP'2024-05-17 13:45:10')
minute(TIMESTAMP'2024-05-17 13:45:10')
second(TIMESTAMP'2024-05-17 13:45:10.7')
extract(YEAR FROM DATE'2024-05-17')
extract(DOW FROM DATE'2024-05-19')
extract(DOW_ISO FROM DATE'2024-05-19')
extract(DOY FROM DATE'2024-05-17')
extract(WEEK FROM DATE'2024-05-17')
extract(YEAROFWEEK FROM DATE'2021-01-03')
extract(SECOND FROM TIMESTAMP'2024-05-17 13:45:10.5')
extract(DAYS FROM INTERVAL 5 DAYS 3 HOURS)
extract(HOUR FROM INTERVAL 5 DAYS 3 HOURS)
extract(MONTH FROM INTERVAL '2-11' YEAR TO MONTH)
date_part('SECONDS', TIMESTAMP'2024-05-17 13:45:10.5')
date_part('week', DATE'2024-05-17')
datepart('YEAR', DATE'2024-05-17')
date_format(DATE'2024-05-07', 'yyyy-MM-dd')
date_format(DATE'2024-05-07', 'dd/MM/yy')
date_format(DATE'2024-05-07', 'E, MMM d yyyy')
date_format(DATE'2024-05-07', 'EEEE MMMM')
date_format(TIMESTAMP'2024-05-07 13:05:09.123', 'yyyy-MM-dd HH:mm:ss.SSS')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'hh:mm a')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'Q')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'D')
date_format(TIMESTAMP'2024-05-07 13:05:09', "yyyy'T'HH")
date_format(TIMESTAMP'2024-05-07 13:05:09', 'XXX')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'z')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'YYYY-ww')
date_format('2024-05-07', 'y')
date_format(TIMESTAMP'2024-05-07 13:05:09', 'S')
to_date('2024-05-07')
to_date('2024-05-07 12:00:00')
to_date('07/05/2024', 'dd/MM/yyyy')
to_date('7/5/2024', 'd/M/yyyy')
to_date('07/05/24', 'dd/MM/yy')
to_date('20240507', 'yyyyMMdd')
to_date('May 7, 2024', 'MMM d, yyyy')
to_date('2024-05-07', 'dd/MM/yyyy')
to_date('2024-13-01', 'yyyy-MM-dd')
to_date('x')
to_date(NULL)
try_to_date('x')
to_date(TIMESTAMP'2024-05-07 23:00:00')
to_timestamp('2024-05-07 13:05:09')
to_timestamp('2024-05-07')
to_timestamp('07/05/2024 13:05', 'dd/MM/yyyy HH:mm')
to_timestamp('2024-05-07T13:05:09.123Z', "yyyy-MM-dd'T'HH:mm:ss.SSSX")
to_timestamp('2024-05-07 01:05 PM', 'yyyy-MM-dd hh:mm a')
to_timestamp('x', 'yyyy')
try_to_timestamp('x')
try_to_timestamp('x', 'yyyy-MM-dd')
to_timestamp_ntz('2024-05-07 13:05:09')
to_timestamp_ltz('2024-05-07 13:05:09')
unix_timestamp('2024-05-07 13:05:09')
unix_timestamp('2024-05-07', 'yyyy-MM-dd')
unix_timestamp(DATE'2024-05-07')
unix_timestamp('x')
to_unix_timestamp('2024-05-07', 'yyyy-MM-dd')
from_unixtime(0)
from_unixtime(1715087109)
from_unixtime(1715087109, 'yyyy-MM-dd')
from_unixtime(-1)
unix_date(DATE'2024-05-07')
unix_seconds(TIMESTAMP'2024-05-07 13:05:09.7')
unix_millis(TIMESTAMP'2024-05-07 13:05:09.7')
unix_micros(TIMESTAMP'2024-05-07 13:05:09.7')
timestamp_seconds(1715087109)
timestamp_seconds(1715087109.123)
timestamp_millis(1715087109123)
timestamp_micros(1715087109123456)
date_from_unix_date(19850)
make_date(2024, 2, 29)
make_date(2023, 2, 29)
make_date(2024, 13, 1)
make_date(NULL, 1, 1)
make_timestamp(2024, 5, 7, 13, 5, 9.123456)
make_timestamp(2024, 5, 7, 13, 5, 60)
make_timestamp(2024, 5, 7, 13, 5, 61)
make_timestamp(2024, 5, 7, 13, 5, 9.5, 'CET')
make_timestamp_ntz(2024, 5, 7, 13, 5, 9.5)
make_timestamp_ltz(2024, 5, 7, 13, 5, 9.5)
try_make_timestamp(2024, 13, 7, 13, 5, 9)
make_interval(1, 2, 3, 4, 5, 6, 7.008)
make_dt_interval(1, 2, 3, 4.5)
make_ym_interval(1, 2)
convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP_NTZ'2024-05-07 00:00:00')
convert_timezone('America/Los_Angeles', TIMESTAMP_NTZ'2024-05-07 00:00:00')
from_utc_timestamp('2024-05-07 12:00:00', 'Asia/Seoul')
to_utc_timestamp('2024-05-07 12:00:00', 'Asia/Seoul')
from_utc_timestamp(TIMESTAMP'2024-03-10 10:00:00', 'America/New_York')
from_utc_timestamp(TIMESTAMP'2024-05-07 12:00:00', 'Nowhere/Land')
window_time(window) FROM (SELECT window(TIMESTAMP'2024-05-07 12:07:00', '10 minutes') AS window)
current_timezone()
current_date() = current_date
TIMESTAMP_NTZ'2024-05-07 12:00:00' + INTERVAL 1 DAY
TIMESTAMP_NTZ'2024-05-07 12:00:00' - TIMESTAMP_NTZ'2024-05-06 11:00:00'
date_trunc('day', TIMESTAMP_NTZ'2024-05-07 12:00:00')
hour(TIMESTAMP_NTZ'2024-05-07 12:00:00')
typeof(DATE'2024-01-02' - DATE'2024-01-01')
typeof(TIMESTAMP'2024-01-02 00:00:00' - TIMESTAMP'2024-01-01 00:00:00')
typeof(DATE'2024-01-02' + INTERVAL 1 HOUR)
typeof(DATE'2024-01-02' + INTERVAL 1 DAY)
typeof(months_between(DATE'2024-01-02', DATE'2024-01-01'))
typeof(year(DATE'2024-01-02'))
typeof(unix_timestamp('2024-05-07 13:05:09'))
typeof(extract(SECOND FROM TIMESTAMP'2024-05-17 13:45:10.5'))
typeof(datediff(DATE'2024-01-02', DATE'2024-01-01'))
typeof(datediff(HOUR, DATE'2024-01-02', DATE'2024-01-01'))
DATE'1582-10-04' + 1
CAST('1500-01-01 00:00:00' AS TIMESTAMP)
-- section: arrays
array(1, 2, 3)
array()
array(NULL)
array(1, NULL)
array(1, 2, 3)[0]
array(1, 2, 3)[2]
array(1, 2, 3)[3]
array(1, 2, 3)[-1]
array(1, 2, 3)[NULL]
get(array(1, 2, 3), 3)
get(array(1, 2, 3), -1)
element_at(array(1, 2, 3), 1)
element_at(array(1, 2, 3), -1)
element_at(array(1, 2, 3), 4)
element_at(array(1, 2, 3), 0)
try_element_at(array(1, 2, 3), 4)
element_at(map('a', 1), 'a')
element_at(map('a', 1), 'b')
try_element_at(map('a', 1), 'b')
map('a', 1)['a']
map('a', 1)['b']
size(array(1, 2))
size(array())
size(NULL)
size(map('a', 1))
cardinality(array(1))
array_size(array(1, 2))
array_size(NULL)
sort_array(array(3, NULL, 1, 2))
sort_array(array(3, NULL, 1, 2), false)
array_sort(array(3, NULL, 1, 2))
array_sort(array('b', 'a'), (l, r) -> CASE WHEN l < r THEN 1 WHEN l > r THEN -1 ELSE 0 END)
array_contains(array(1, 2, 3), 2)
array_contains(array(1, NULL), 3)
array_contains(array(1, NULL), 1)
array_contains(array(1, 2), NULL)
array_contains(array(1, 2), '1')
array_distinct(array(1, 2, 2, NULL, NULL))
array_union(array(1, 2, 3), array(1, 3, 5))
array_union(array(1, NULL), array(NULL, 2))
array_intersect(array(1, 2, 3), array(1, 3, 5))
array_except(array(1, 2, 2, 3), array(1))
arrays_overlap(array(1, 2), array(2, 3))
arrays_overlap(array(1, NULL), array(2, NULL))
arrays_overlap(array(1, 2), array(3))
arrays_zip(array(1, 2), array('a', 'b', 'c'))
array_join(array('a', NULL, 'b'), ',')
array_join(array('a', NULL, 'b'), ',', 'x')
array_position(array(3, 2, 1), 1)
array_position(array(3, 2, 1), 9)
array_remove(array(1, 2, 3, NULL, 3), 3)
array_repeat('a', 3)
array_repeat('a', 0)
array_max(array(1, 20, NULL, 3))
array_min(array(1, 20, NULL, 3))
array_max(array())
array_append(array(1, 2), 3)
array_prepend(array(1, 2), 0)
array_insert(array(1, 2, 3), 2, 9)
array_insert(array(1, 2, 3), -1, 9)
array_insert(array(1), 4, 9)
array_compact(array(1, NULL, 2))
flatten(array(array(1, 2), array(3)))
flatten(array(array(1, 2), NULL))
slice(array(1, 2, 3, 4), 2, 2)
slice(array(1, 2, 3, 4), -2, 2)
slice(array(1, 2, 3), 0, 1)
slice(array(1, 2, 3), 2, 10)
slice(array(1, 2, 3), 1, -1)
sequence(1, 5)
sequence(5, 1)
sequence(1, 10, 3)
sequence(1, 5, -1)
sequence(DATE'2024-01-31', DATE'2024-04-30', INTERVAL 1 MONTH)
sequence(DATE'2024-01-01', DATE'2024-01-03')
sequence(TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-01 01:00:00', INTERVAL 30 MINUTES)
transform(array(1, 2, 3), x -> x + 1)
transform(array(1, 2, 3), (x, i) -> x + i)
filter(array(1, 2, 3), x -> x % 2 = 1)
filter(array(0, 2, 3), (x, i) -> x > i)
filter(array(1, NULL), x -> x IS NOT NULL)
exists(array(1, 2, 3), x -> x % 2 = 0)
exists(array(1, NULL), x -> x = 2)
forall(array(1, 2, 3), x -> x > 0)
forall(array(1, NULL), x -> x > 0)
aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x)
aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x, acc -> acc * 10)
reduce(array(1, 2, 3), 0, (acc, x) -> acc + x)
zip_with(array(1, 2, 3), array('a', 'b', 'c'), (x, y) -> (y, x))
zip_with(array(1, 2), array(3, 4), (x, y) -> x + y)
zip_with(array(1, 2), array(3), (x, y) -> x + y)
array(array(1), array(2, 3))[1][0]
array(1, 2) || array(3)
shuffle(array(1))
array(DATE'2024-01-01', NULL)
array(TIMESTAMP'2024-01-01 12:00:00')
array(1.50, 2)
array(1.5D, CAST('NaN' AS DOUBLE))
array('a"b', 'c\\d')
array(X'01')
-- section: maps and structs
map('a', 1, 'b', 2)
map()
map(1, 'a', 1, 'b')
map(NULL, 1)
map('a', NULL)
map_keys(map('a', 1, 'b', 2))
map_values(map('a', 1, 'b', 2))
map_entries(map('a', 1, 'b', 2))
map_from_arrays(array('a', 'b'), array(1, 2))
map_from_arrays(array('a', 'b'), array(1))
map_from_entries(array(struct('a', 1), struct('b', 2)))
map_concat(map('a', 1), map('b', 2))
map_concat(map('a', 1), map('a', 2))
map_contains_key(map('a', 1), 'a')
map_filter(map(1, 0, 2, 2, 3, -1), (k, v) -> k > v)
transform_keys(map('a', 1), (k, v) -> upper(k))
transform_values(map('a', 1), (k, v) -> v + 1)
map_zip_with(map(1, 'a'), map(1, 'x', 2, 'y'), (k, a, b) -> concat(a, b))
str_to_map('a:1,b:2')
str_to_map('a=1&b=2', '&', '=')
str_to_map('a')
struct(1, 'a')
struct(1 AS x, 'a' AS y)
named_struct('a', 1, 'b', 'x')
named_struct('a', 1, 'b', NULL)
named_struct('a', 1).a
named_struct('a', named_struct('b', 5)).a.b
named_struct('a', 1).A
named_struct('a', 1).z
named_struct('a', 1, 'b', array(1, 2)).b[1]
(1, 'a')
(1, 'a').col1
struct(s.a, s.b) FROM VALUES (named_struct('a', 1, 'b', 2)) AS t(s)
s.* FROM VALUES (named_struct('a', 1, 'b', 2)) AS t(s)
s.a FROM VALUES (array(named_struct('a', 1), named_struct('a', 2))) AS t(s)
inline(array(struct(1, 'a'), struct(2, 'b')))
explode(array(10, 20))
explode(array())
explode_outer(array())
explode(map('a', 1, 'b', 2))
posexplode(array('x', 'y'))
stack(2, 1, 'a', 2, 'b')
typeof(map_entries(map('a', 1)))
typeof(arrays_zip(array(1), array('a')))
typeof(sequence(1, 3))
typeof(array_size(array(1)))
typeof(array_position(array(1), 1))
-- section: json
get_json_object('{"a":{"b":1}}', '$.a.b')
get_json_object('{"a":[1,2,3]}', '$.a[1]')
get_json_object('{"a":[{"b":1},{"b":2}]}', '$.a[*].b')
get_json_object('{"a":"x"}', '$.a')
get_json_object('{"a":{"b":"x"}}', '$.a')
get_json_object('{"a":null}', '$.a')
get_json_object('{"a":1}', '$.z')
get_json_object('not json', '$.a')
get_json_object('{"a b":1}', "$['a b']")
get_json_object('[1,2]', '$[0]')
get_json_object('{"a":1.50}', '$.a')
from_json('{"a":1,"b":0.8}', 'a INT, b DOUBLE')
from_json('{"a":"x"}', 'a INT')
from_json('{"a":1', 'a INT')
from_json('{"A":1}', 'a INT')
from_json('[1,2]', 'array<int>')
from_json('{"k":1}', 'map<string,int>')
from_json('{"t":"26/08/2015"}', 't TIMESTAMP', map('timestampFormat', 'dd/MM/yyyy'))
from_json('{"d":"2024-01-01"}', 'd DATE')
from_json('', 'a INT')
from_json('{"a":1}', 'STRUCT<a: BIGINT>').a
to_json(named_struct('a', 1, 'b', 'x'))
to_json(named_struct('a', 1, 'b', NULL))
to_json(array(1, NULL))
to_json(map('a', 1))
to_json(named_struct('d', DATE'2024-01-01', 't', TIMESTAMP'2024-01-01 12:00:00'))
to_json(named_struct('t', TIMESTAMP'2024-01-01 12:00:00.123456'))
to_json(named_struct('x', 1.50, 'y', 1.0D, 'z', CAST('NaN' AS DOUBLE)))
to_json(named_struct('s', 'quote " slash / back \\ é'))
to_json(named_struct('time', to_timestamp('2015-08-26', 'yyyy-MM-dd')), map('timestampFormat', 'dd/MM/yyyy'))
to_json(array(struct(1, 2)))
schema_of_json('[{"col":0}]')
schema_of_json('{"a":1.5,"b":"x","c":[1]}')
json_array_length('[1,2,3]')
json_array_length('{}')
json_object_keys('{"a":1,"b":2}')
json_tuple('{"a":1,"b":"x"}', 'a', 'b')
parse_json('{"a":1,"b":[true,null]}')
parse_json('{bad')
try_parse_json('{bad')
variant_get(parse_json('{"a":{"b":5}}'), '$.a.b', 'int')
parse_json('{"a":{"b":5}}'):a.b::INT
try_variant_get(parse_json('{"a":"x"}'), '$.a', 'int')
typeof(parse_json('1'))
from_csv('1,abc', 'a INT, b STRING')
to_csv(named_struct('a', 1, 'b', 'x'))
-- section: aggregates
sum(a) FROM VALUES (1), (2) AS t(a)
sum(a) FROM VALUES (1), (NULL) AS t(a)
sum(a) FROM VALUES (CAST(NULL AS INT)) AS t(a)
sum(a) FROM VALUES (2147483647), (1) AS t(a)
sum(a) FROM VALUES (9223372036854775807), (1) AS t(a)
try_sum(a) FROM VALUES (9223372036854775807), (1) AS t(a)
sum(a) FROM VALUES (1.5D), (2.5D) AS t(a)
sum(DISTINCT a) FROM VALUES (1), (1), (2) AS t(a)
sum(a) FROM VALUES (INTERVAL 1 DAY), (INTERVAL 2 DAYS) AS t(a)
avg(a) FROM VALUES (1), (2) AS t(a)
avg(a) FROM VALUES (1), (2), (NULL) AS t(a)
mean(a) FROM VALUES (1), (4) AS t(a)
count(*) FROM VALUES (1), (NULL) AS t(a)
count(1) FROM VALUES (1), (NULL) AS t(a)
count(a) FROM VALUES (1), (NULL) AS t(a)
count(DISTINCT a) FROM VALUES (1), (1), (NULL) AS t(a)
count(a, b) FROM VALUES (1, 1), (1, NULL) AS t(a, b)
count(DISTINCT a, b) FROM VALUES (1, 1), (1, NULL), (1, 1) AS t(a, b)
count_if(a > 1) FROM VALUES (1), (2), (3) AS t(a)
min(a), max(a) FROM VALUES (1), (NULL), (3) AS t(a)
min(a), max(a) FROM VALUES ('b'), ('A') AS t(a)
max(a) FROM VALUES (1.0D), (CAST('NaN' AS DOUBLE)) AS t(a)
max_by(a, b) FROM VALUES ('x', 1), ('y', 3), ('z', 2) AS t(a, b)
min_by(a, b) FROM VALUES ('x', 1), ('y', 3), ('z', NULL) AS t(a, b)
any_value(a) FROM VALUES (7) AS t(a)
first(a) FROM VALUES (NULL), (7) AS t(a)
first(a, true) FROM VALUES (NULL), (7) AS t(a)
first_value(a) IGNORE NULLS FROM VALUES (NULL), (7) AS t(a)
last(a) FROM VALUES (7), (NULL) AS t(a)
last(a) IGNORE NULLS FROM VALUES (7), (NULL) AS t(a)
bool_and(a), bool_or(a) FROM VALUES (true), (false), (NULL) AS t(a)
every(a), some(a), any(a) FROM VALUES (true), (true) AS t(a)
bit_and(a), bit_or(a), bit_xor(a) FROM VALUES (3), (5) AS t(a)
sort_array(collect_list(a)) FROM VALUES (3), (NULL), (1) AS t(a)
sort_array(collect_set(a)) FROM VALUES (3), (3), (1) AS t(a)
array_agg(a) FROM VALUES (1), (NULL) AS t(a)
listagg(a, ',') WITHIN GROUP (ORDER BY a DESC) FROM VALUES ('a'), ('b'), (NULL) AS t(a)
string_agg(a, '-') WITHIN GROUP (ORDER BY a) FROM VALUES ('b'), ('a') AS t(a)
stddev(a) FROM VALUES (1), (2), (3), (4) AS t(a)
stddev(a) FROM VALUES (1) AS t(a)
stddev_pop(a), var_pop(a), var_samp(a) FROM VALUES (1), (3) AS t(a)
variance(a) FROM VALUES (2), (4) AS t(a)
corr(a, b) FROM VALUES (1, 2), (2, 4), (3, 6) AS t(a, b)
covar_pop(a, b), covar_samp(a, b) FROM VALUES (1, 2), (2, 4) AS t(a, b)
skewness(a), kurtosis(a) FROM VALUES (1.0D), (1.0D), (4.0D) AS t(a)
regr_slope(y, x), regr_intercept(y, x), regr_count(y, x), regr_r2(y, x) FROM VALUES (2, 1), (4, 2) AS t(y, x)
percentile(a, 0.5) FROM VALUES (0), (10) AS t(a)
percentile(a, array(0.25, 0.75)) FROM VALUES (0), (10) AS t(a)
percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM VALUES (0), (10) AS t(a)
percentile_disc(0.5) WITHIN GROUP (ORDER BY a) FROM VALUES (0), (10) AS t(a)
percentile_approx(a, 0.5) FROM VALUES (0), (6), (7), (9), (10) AS t(a)
approx_percentile(a, array(0.5, 0.4, 0.1), 100) FROM VALUES (0), (1), (2), (10) AS t(a)
median(a) FROM VALUES (0), (10), (3) AS t(a)
mode(a) FROM VALUES (0), (10), (10) AS t(a)
approx_count_distinct(a) FROM VALUES (1), (1), (2), (3) AS t(a)
histogram_numeric(a, 5) FROM VALUES (0), (1), (2), (10) AS t(a)
try_avg(a) FROM VALUES (1), (2) AS t(a)
typeof(sum(a)), typeof(avg(a)), typeof(max(a)), typeof(count(a)) FROM VALUES (1) AS t(a)
typeof(sum(a)), typeof(avg(a)) FROM VALUES (CAST(1.5 AS DECIMAL(10,2))) AS t(a)
typeof(sum(a)), typeof(avg(a)) FROM VALUES (CAST(1 AS FLOAT)) AS t(a)
typeof(sum(a)) FROM VALUES (CAST(1.5 AS DECIMAL(38,2))) AS t(a)
typeof(stddev(a)), typeof(median(a)), typeof(percentile_approx(a, 0.5)) FROM VALUES (1) AS t(a)
sum(a) FILTER (WHERE a > 1) FROM VALUES (1), (2), (3) AS t(a)
grouping(a) FROM VALUES (1) AS t(a) GROUP BY ROLLUP(a) ORDER BY 1
count(*), sum(a), avg(a), min(a) FROM VALUES (1) AS t(a) WHERE a > 5
sum(1) FROM VALUES (1), (2) AS t(a) HAVING sum(1) > 5
avg(DISTINCT a) FROM VALUES (1), (1), (4) AS t(a)
-- section: names and errors
1 + 1, 1 AS x, upper('a'), 'a' || 'b'
CAST(1 AS STRING), '1'::INT
-1, - 1, -(1)
1 IN (1, 2), 1 BETWEEN 0 AND 2, NOT true, 1 IS NULL
CASE WHEN 1 = 1 THEN 'a' ELSE 'b' END, if(true, 1, 2)
'it''s', "dq", X'AB', DATE'2024-01-01', TIMESTAMP'2024-01-01 00:00:00', 1.50, 1e3, 1L, NULL, true
array(1, 2)[0], map('a', 1)['a'], named_struct('a', 1).a
date_add(DATE'2024-01-01', 1), DATE'2024-01-01' + 1, DATE'2024-01-01' + INTERVAL 1 DAY
a, t.a, a AS b, t.* FROM VALUES (1) AS t(a)
A, T.A FROM VALUES (1) AS t(a)
sum(a), SUM(A), count(*), COUNT(1), count(DISTINCT a), avg(a) FROM VALUES (1) AS t(a)
transform(array(1), x -> x + 1)
'a' LIKE 'b', 'a' RLIKE 'b', 'a' NOT LIKE 'b', 'a' IN ('b')
trim(BOTH 'x' FROM 'xax'), substring('abc' FROM 2), extract(YEAR FROM DATE'2024-01-01'), position('a' IN 'ba')
nvl(NULL, 1), ifnull(NULL, 1), coalesce(NULL, 1), nullif(1, 2)
row_number() OVER (ORDER BY a), sum(a) OVER (PARTITION BY a) FROM VALUES (1) AS t(a)
5 DIV 2, 5 % 2, mod(5, 2), ~1, 1 <=> 2, 1 != 2, 1 == 1
length('x'), len('x'), char_length('x'), pow(2, 1), power(2, 1), ceil(1.5), ceiling(1.5)
no_such_function(1)
no_such_column
upper()
upper('a', 'b')
1 +
date_add(DATE'2024-01-01', 'x')
sum(1, 2)
'a' + DATE'2024-01-01'
array(1) + 1
1 + true
-true
NOT 1
substr('abc', 'x')
round('x')
abs(true)
CAST(1 AS NO_SUCH_TYPE)
t.b FROM VALUES (1) AS t(a)
z.a FROM VALUES (1) AS t(a)
a FROM VALUES (1) AS t(a), VALUES (2) AS u(a)
a FROM no_such_table
sum(sum(a)) FROM VALUES (1) AS t(a)
a FROM VALUES (1) AS t(a) WHERE sum(a) > 1
a FROM VALUES (1) AS t(a) WHERE a
(SELECT a FROM VALUES (1), (2) AS t(a))
(SELECT 1, 2)
a, count(*) FROM VALUES (1) AS t(a)
a FROM VALUES (1) AS t(a) ORDER BY 5
a FROM VALUES (1) AS t(a) GROUP BY 5
* FROM VALUES (1), (2, 3) AS t(a)
-- timezone: America/New_York
-- section: time zone America/New_York
TIMESTAMP'2024-01-31 12:30:00'
TIMESTAMP'2024-07-31 12:30:00'
CAST(TIMESTAMP'2024-07-31 12:30:00Z' AS STRING)
CAST('2024-03-10 02:30:00' AS TIMESTAMP)
CAST(CAST('2024-03-10 02:30:00' AS TIMESTAMP) AS STRING)
CAST('2024-11-03 01:30:00' AS TIMESTAMP)
CAST('2024-11-03 01:30:00-05:00' AS TIMESTAMP)
TIMESTAMP'2024-03-09 12:00:00' + INTERVAL 1 DAY
TIMESTAMP'2024-03-09 12:00:00' + INTERVAL 24 HOURS
TIMESTAMP'2024-11-02 12:00:00' + INTERVAL 1 DAY
TIMESTAMP'2024-11-02 12:00:00' + INTERVAL 1 MONTH
TIMESTAMP'2024-03-10 12:00:00' - TIMESTAMP'2024-03-09 12:00:00'
timestampadd(DAY, 1, TIMESTAMP'2024-03-09 12:00:00')
timestampadd(HOUR, 24, TIMESTAMP'2024-03-09 12:00:00')
datediff(HOUR, TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-10 12:00:00')
datediff(DAY, TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-10 12:00:00')
date_trunc('DAY', TIMESTAMP'2024-03-10 15:00:00')
date_trunc('HOUR', TIMESTAMP'2024-11-03 01:30:00-05:00')
CAST(DATE'2024-07-01' AS TIMESTAMP)
CAST(TIMESTAMP'2024-07-01 03:00:00Z' AS DATE)
hour(TIMESTAMP'2024-07-01 03:00:00Z')
dayofmonth(TIMESTAMP'2024-07-01 03:00:00Z')
unix_timestamp('2024-07-01 00:00:00')
from_unixtime(0)
CAST(0 AS TIMESTAMP)
to_timestamp('2024-07-01 00:00', 'yyyy-MM-dd HH:mm')
date_format(TIMESTAMP'2024-07-01 00:00:00', 'yyyy-MM-dd HH:mm z XXX')
from_utc_timestamp('2024-07-01 12:00:00', 'Asia/Tokyo')
to_utc_timestamp('2024-07-01 12:00:00', 'Asia/Tokyo')
make_timestamp(2024, 3, 10, 2, 30, 0)
CAST(TIMESTAMP_NTZ'2024-07-01 12:00:00' AS TIMESTAMP)
CAST(TIMESTAMP'2024-07-01 12:00:00' AS TIMESTAMP_NTZ)
TIMESTAMP_NTZ'2024-07-01 12:00:00' = TIMESTAMP'2024-07-01 12:00:00'
TIMESTAMP_NTZ'2024-03-10 01:30:00' + INTERVAL 1 HOUR
convert_timezone('UTC', TIMESTAMP_NTZ'2024-07-01 12:00:00')
current_timezone()
to_json(named_struct('t', TIMESTAMP'2024-07-01 12:00:00'))
CAST(TIMESTAMP'2024-07-01 12:00:00' AS BIGINT)
sequence(TIMESTAMP'2024-03-09 12:00:00', TIMESTAMP'2024-03-11 12:00:00', INTERVAL 1 DAY)
DATE'2024-03-10' = TIMESTAMP'2024-03-10 00:00:00'
months_between(TIMESTAMP'2024-04-10 12:00:00', TIMESTAMP'2024-03-10 12:00:00')
last_day(TIMESTAMP'2024-07-01 03:00:00Z')
CAST('1883-11-18 12:00:00' AS TIMESTAMP)
hash(TIMESTAMP'2024-07-01 00:00:00')
-- timezone: Asia/Kolkata
-- section: time zone Asia/Kolkata
TIMESTAMP'2024-01-31 12:30:00'
CAST(TIMESTAMP'2024-07-31 00:00:00Z' AS STRING)
date_trunc('HOUR', TIMESTAMP'2024-07-31 12:45:00')
CAST(TIMESTAMP'2024-07-31 20:00:00Z' AS DATE)
unix_timestamp(DATE'2024-05-07')
from_utc_timestamp('2024-07-01 12:00:00', 'Asia/Kolkata')
CAST('2024-07-01 12:00:00+00:00' AS TIMESTAMP_NTZ)
date_format(TIMESTAMP'2024-07-31 00:00:00Z', 'HH:mm xxx')
-- timezone: UTC
-- section: interval units, windows, random numbers
CAST(DATE'2024-03-01' - DATE'2024-02-01' AS INT)
CAST(INTERVAL 90 MINUTES AS INT)
CAST(INTERVAL '1.5' SECOND AS DECIMAL(10,2))
CAST(INTERVAL '1 02:03:04' DAY TO SECOND AS INT)
CAST(INTERVAL 1 YEAR AS INT)
CAST(INTERVAL 1 DAY AS DOUBLE)
CAST(INTERVAL 300 DAYS AS TINYINT)
CAST(5 AS INTERVAL YEAR)
CAST(5 AS INTERVAL DAY TO SECOND)
CAST(1.5 AS INTERVAL SECOND)
CAST(1.5 AS INTERVAL DAY)
CAST(1.5 AS INTERVAL MONTH)
CAST(1.5D AS INTERVAL DAY)
CAST(9223372036854775807 AS INTERVAL DAY)
CAST('1 02:03:04.5' AS INTERVAL DAY TO SECOND)
CAST('interval -\'1\' day' AS INTERVAL DAY)
CAST('1' AS INTERVAL DAY TO SECOND)
CAST('1-2' AS INTERVAL YEAR TO MONTH)
CAST('14' AS INTERVAL MONTH)
CAST('02:30' AS INTERVAL HOUR TO MINUTE)
CAST('02:70' AS INTERVAL HOUR TO MINUTE)
CAST('1.5' AS INTERVAL SECOND)
try_cast('x' AS INTERVAL DAY)
CAST(INTERVAL '1 02:03:04' DAY TO SECOND AS INTERVAL DAY TO HOUR)
CAST(INTERVAL '1 02:03:04' DAY TO SECOND AS INTERVAL HOUR)
CAST(INTERVAL 14 MONTHS AS INTERVAL YEAR)
CAST(INTERVAL 1 DAY AS INTERVAL YEAR)
CAST(NULL AS INTERVAL DAY)
INTERVAL 90 SECONDS
INTERVAL 100 HOURS
INTERVAL -90 MINUTES
INTERVAL 1.5 SECONDS
INTERVAL 5 MILLISECONDS
INTERVAL 1 DAY 2 HOURS 3 MINUTES 4 SECONDS
INTERVAL 14 MONTHS
INTERVAL '1 week 2 days'
INTERVAL '1 2' DAY TO HOUR
INTERVAL '3:4.5' MINUTE TO SECOND
INTERVAL 1 YEAR + INTERVAL 1 MONTH
INTERVAL 1 HOUR + INTERVAL 1 SECOND
INTERVAL 1 YEAR * 2
abs(INTERVAL -1 DAY)
greatest(INTERVAL 1 DAY, INTERVAL 2 HOURS)
coalesce(NULL, INTERVAL 1 DAY)
CASE WHEN true THEN INTERVAL 1 DAY ELSE INTERVAL 2 HOURS END
if(true, INTERVAL 1 MONTH, INTERVAL 1 YEAR)
try_add(INTERVAL 1 DAY, INTERVAL 2 HOURS)
NULL + INTERVAL 1 DAY
DATE'2024-03-01' - NULL
INTERVAL 1 DAY = '1'
concat('in ', INTERVAL 1 DAY)
DATE'2024-01-31' - INTERVAL 2 HOURS
DATE'2024-01-31' + a FROM (SELECT INTERVAL 1 DAY AS a)
a + INTERVAL 1 HOUR FROM (SELECT INTERVAL 1 DAY AS a)
a FROM VALUES (INTERVAL 1 DAY), (INTERVAL 2 HOURS) AS t(a)
INTERVAL 1 DAY UNION ALL SELECT INTERVAL 2 HOURS
min(a), max(a), first(a) FROM VALUES (INTERVAL 1 DAY), (INTERVAL 2 DAYS) AS t(a)
avg(a) FROM VALUES (INTERVAL 1 DAY), (INTERVAL 2 DAYS) AS t(a)
avg(a) FROM VALUES (INTERVAL 1 MONTH), (INTERVAL 2 MONTHS), (NULL) AS t(a)
make_interval()
make_interval(1, 2, 3, 4, 5, 6, -7.008)
make_interval(0, 0, 0, 1)
make_interval(2147483647)
try_make_interval(2147483647)
make_dt_interval(1)
make_ym_interval(1)
extract(DAY FROM make_interval(0, 0, 0, 3))
extract(SECOND FROM INTERVAL '1 02:03:04.5' DAY TO SECOND)
DATE'2024-01-31' + make_interval(0, 1)
DATE'2024-01-31' + make_interval(0, 0, 0, 0, 1)
TIMESTAMP'2024-01-31 10:00:00' + make_interval(0, 1, 0, 1, 2)
TIMESTAMP'2024-01-31 10:00:00' - make_interval(0, 1, 0, 1, 2)
CAST('12:30:00' AS TIMESTAMP) > current_date()
CAST('T12:30' AS TIMESTAMP) IS NULL
uniform(0, 10, 0)
uniform(0.0D, 1.0D, 3)
uniform(5L, 5L, 7)
rand(0)
rand(5) + 1 > 1
randn(0)
window(TIMESTAMP'2024-05-07 12:07:00', '10 minutes')
window(TIMESTAMP_NTZ'1960-05-07 12:07:00', '1 hour', '1 hour', '15 minutes').start
count(*) FROM (SELECT window(TIMESTAMP'2024-05-07 12:07:00', '10 minutes', '5 minutes'))
