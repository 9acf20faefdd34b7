"""What a query that only reads is made of. Whatever is not listed is refused: a new version of the parser that knows
more syntax opens nothing."""

from collections.abc import Mapping
from typing import Literal

from sqlglot import exp

Dialect = Literal["postgres", "sqlite"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _classes(names: str) -> frozenset[type[exp.Expr]]:
    return frozenset(getattr(exp, name) for name in _words(names))


QUERIES = _classes("Select Union Except Intersect Subquery Values")
"""What a statement may be, as a whole."""

SYNTAX = QUERIES | _classes(
    """
    With CTE From Join Lateral Table TableAlias Where Group Cube Rollup GroupingSets Having Order Ordered Limit
    Fetch Offset Distinct Window WindowSpec Filter WithinGroup IgnoreNulls RespectNulls Tuple Alias Column
    Identifier Star Literal HexString Null Boolean Var Paren Neg Not BitwiseNot BitwiseAnd BitwiseOr BitwiseXor
    BitwiseLeftShift BitwiseRightShift Add Sub Mul Div IntDiv Mod DPipe EQ NEQ GT GTE LT LTE NullSafeEQ
    NullSafeNEQ Is Between In Like ILike SimilarTo Glob Escape Interval IntervalSpan AtTimeZone Bracket Slice
    DataTypeParam Any All JSONPath JSONPathRoot JSONPathKey JSONPathSubscript JSONPathSelector
    """
)

_BOTH = _classes(
    """
    And Or Case If Cast Exists Coalesce Nullif Abs Ceil Floor Round Sign Sqrt Cbrt Exp Ln Log Pow Greatest Least
    Sin Cos Tan Asin Acos Atan Atan2 Degrees Radians Pi Trunc Length Lower Upper Initcap Trim Substring Replace
    Concat ConcatWs Left Right Reverse StrPosition SplitPart Translate Chr Ascii Unicode StartsWith RegexpLike
    RegexpILike RegexpReplace Collate Count Sum Avg Min Max ArrayAgg GroupConcat StddevPop StddevSamp Stddev
    Variance VariancePop Corr CovarPop CovarSamp LogicalAnd LogicalOr PercentileCont PercentileDisc Mode
    RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue CurrentDate
    CurrentTime CurrentTimestamp Extract DateTrunc TimestampTrunc TimeToStr StrToTime StrToDate ToChar ToNumber
    Date Time Datetime Timestamp UnixToTime MakeInterval JustifyDays JustifyHours JustifyInterval Array
    ArraySize ArrayContains ArrayContainsAll ArrayContainedBy ArrayOverlaps ArrayPosition ArrayToString
    StringToArray Unnest JSONExtract JSONExtractScalar JSONBExtract JSONBExtractScalar JSONBContains
    JSONArrayAgg JSONObjectAgg JSONBObjectAgg JSONObject JSONArray MD5 Hex Typeof WidthBucket TsOrDsToDate
    TsOrDsToTimestamp
    """
)

NODES: Mapping[Dialect, frozenset[type[exp.Expr]]] = {"postgres": SYNTAX | _BOTH, "sqlite": SYNTAX | _BOTH}

FUNCTIONS: Mapping[Dialect, frozenset[str]] = {
    "postgres": _words(
        """
        age date_part date_bin make_date make_timestamp to_date to_timestamp isfinite statement_timestamp
        char_length character_length octet_length btrim ltrim rtrim strpos position overlay quote_literal
        regexp_match regexp_matches regexp_count regexp_split_to_array string_to_array string_agg array_agg
        array_length cardinality array_position array_to_string unnest bool_and bool_or every json_agg jsonb_agg
        json_object_agg jsonb_object_agg json_build_object jsonb_build_object json_build_array jsonb_build_array
        json_array_length jsonb_array_length json_array_elements jsonb_array_elements json_array_elements_text
        jsonb_array_elements_text json_each jsonb_each json_each_text jsonb_each_text json_object_keys
        jsonb_object_keys json_typeof jsonb_typeof json_extract_path json_extract_path_text jsonb_extract_path
        jsonb_extract_path_text to_json to_jsonb row_to_json num_nulls num_nonnulls mod div power log10 factorial
        gcd lcm regr_slope regr_intercept regr_r2 to_tsvector to_tsquery plainto_tsquery websearch_to_tsquery
        ts_rank starts_with
        """
    ),
    "sqlite": _words(
        """
        date time datetime julianday unixepoch strftime timediff instr ifnull iif total group_concat string_agg
        ltrim rtrim substr char likely unlikely quote json json_array json_array_length json_extract json_object
        json_type json_valid json_each json_tree json_group_array json_group_object mod power log10 log2
        octet_length concat concat_ws
        """
    ),
}
"""By name, where the parser has no class for them."""

TYPES = frozenset(
    getattr(exp.DataType.Type, name)
    for name in _words(
        """
        BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL CHAR NCHAR VARCHAR NVARCHAR TEXT BLOB VARBINARY
        DATE TIME TIMETZ TIMESTAMP TIMESTAMPTZ DATETIME INTERVAL JSON JSONB UUID INET ARRAY
        """
    )
)
"""Of casts. A name that is unknown may be of anybody's own type, with functions of its own."""

CATALOGS = ("pg_", "_pg_", "sqlite_", "pragma_", "dbstat", "fts5", "bytecode", "tables_used")
"""How the names of tables begin that tell of the database itself."""

SCHEMAS = frozenset({"sqlite_master", "sqlite_schema"})
"""Of these, those that only tell what tables there are."""

INFORMATION = _words(
    """
    tables views columns schemata table_constraints key_column_usage constraint_column_usage referential_constraints
    check_constraints
    """
)
"""Of PostgreSQL's information_schema, what tells of tables. Others hold passwords of foreign servers."""

KEYWORD_FUNCTIONS = _words(
    """
    user current_user session_user system_user current_role current_catalog current_schema current_date current_time
    current_timestamp localtime localtimestamp
    """
)
"""Of PostgreSQL, called without parentheses: in FROM they are no tables."""

SEARCHES: Mapping[type[exp.Expr], str] = {exp.StrPosition: "substr", exp.Replace: "expression", exp.Trim: "expression"}
"""What looks for a text in another, and under which name it has that text. SQLite takes the product of both lengths for
it, and cannot be interrupted meanwhile."""
