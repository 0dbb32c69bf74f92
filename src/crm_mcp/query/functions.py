"""The functions, operators and types that free-form SQL may use; what is not named here is refused.

None of these reads outside the statement, keeps a lock, sleeps, signals, or leaves anything behind. Those that can make
much of little (repeat, lpad, generate_series …) are bounded by `grammar`.
"""

from collections.abc import Mapping

AGGREGATES = frozenset(
    "count sum avg min max bool_and bool_or every string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg "
    "any_value stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp regr_avgx regr_avgy "
    "regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy mode percentile_cont percentile_disc "
    "bit_and bit_or rank dense_rank percent_rank cume_dist".split()
)
WINDOWS = frozenset("row_number ntile lag lead first_value last_value nth_value".split())
_NUMBERS = (
    "abs ceil ceiling floor round trunc sign mod div power sqrt cbrt exp ln log log10 width_bucket greatest least gcd lcm "
    "degrees radians pi sin cos tan asin acos atan atan2 random scale min_scale trim_scale to_number numeric_inc"
)
_TEXT = (
    "lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim trim substring substr "
    "left right position strpos replace translate reverse split_part concat concat_ws overlay starts_with ascii chr md5 "
    "to_char quote_literal quote_ident string_to_array array_to_string regexp_match regexp_matches regexp_replace "
    "regexp_split_to_array regexp_split_to_table regexp_like regexp_count regexp_instr regexp_substr string_to_table "
    "normalize is_normalized like_escape similar_to_escape lpad rpad repeat format to_hex"
)
_TIMES = (
    "now current_date current_timestamp localtimestamp transaction_timestamp statement_timestamp clock_timestamp date_trunc "
    "date_part extract age date_bin make_date make_time make_timestamp make_timestamptz make_interval to_date to_timestamp "
    "timezone isfinite justify_days justify_hours justify_interval overlaps date timestamp timestamptz"
)
_ARRAYS = (
    "array_length array_position array_positions array_remove array_replace array_append array_prepend array_cat array_dims "
    "array_ndims array_lower array_upper array_to_json cardinality unnest generate_subscripts trim_array array_sort array_reverse"
)
_JSON = (
    "to_json to_jsonb row_to_json json_build_object json_build_array jsonb_build_object jsonb_build_array json_object "
    "jsonb_object json_array_length jsonb_array_length json_each json_each_text jsonb_each jsonb_each_text json_object_keys "
    "jsonb_object_keys json_array_elements json_array_elements_text jsonb_array_elements jsonb_array_elements_text "
    "json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text json_typeof jsonb_typeof "
    "json_strip_nulls jsonb_strip_nulls jsonb_pretty jsonb_path_exists jsonb_path_match jsonb_path_query "
    "jsonb_path_query_array jsonb_path_query_first jsonb_to_record jsonb_to_recordset json_to_record json_to_recordset"
)
_ELSE = "coalesce nullif generate_series num_nonnulls num_nulls int4range int8range numrange daterange tsrange tstzrange isempty"
FUNCTIONS = AGGREGATES | WINDOWS | frozenset(" ".join((_NUMBERS, _TEXT, _TIMES, _ARRAYS, _JSON, _ELSE)).split())

INSTEAD: Mapping[str, str] = {
    "pg_sleep": "Nothing here waits; ask again later instead.",
    "set_config": "Settings cannot be changed; the time zone is the org's.",
    "current_setting": "Settings cannot be read; the time zone is the org's.",
    "current_user": "Every query runs as the same login; whoami says who you are.",
    "session_user": "Every query runs as the same login; whoami says who you are.",
    "version": "Every query runs on PostgreSQL; nothing more is told.",
    "to_tsvector": "Search with ILIKE or ~* here; search_customers and find_records rank by words.",
    "to_tsquery": "Search with ILIKE or ~* here; search_customers and find_records rank by words.",
    "similarity": "Search with ILIKE or ~* here; search_customers finds misspelt names.",
    "nextval": "Nothing can be changed by a query; row_number() over (order by …) numbers rows.",
    "nvl": "Write coalesce(a, b).",
    "ifnull": "Write coalesce(a, b).",
    "isnull": "Write a is null, or coalesce(a, b).",
    "date_diff": "Subtract dates: a - b is a number of days; age(a, b) an interval.",
    "timestampdiff": "Subtract times: extract(epoch from a - b) / 3600 is a number of hours.",
    "datediff": "Subtract dates: a - b is a number of days; age(a, b) an interval.",
    "dateadd": "Write a + interval '1 month'.",
    "date_add": "Write a + interval '1 month'.",
    "date_sub": "Write a - interval '1 month'.",
    "getdate": "Write now() or current_date.",
    "curdate": "Write current_date.",
    "sysdate": "Write now() or current_date.",
    "year": "Write extract(year from a).",
    "month": "Write extract(month from a), or date_trunc('month', a).",
    "day": "Write extract(day from a).",
    "quarter": "Write extract(quarter from a), or date_trunc('quarter', a).",
    "week": "Write extract(week from a), or date_trunc('week', a).",
    "date_format": "Write to_char(a, 'YYYY-MM').",
    "strftime": "Write to_char(a, 'YYYY-MM').",
    "group_concat": "Write string_agg(a, ', ' order by a).",
    "listagg": "Write string_agg(a, ', ' order by a).",
    "median": "Write percentile_cont(0.5) within group (order by a).",
    "if": "Write case when … then … else … end.",
    "iif": "Write case when … then … else … end.",
    "len": "Write length(a).",
    "charindex": "Write position(a in b).",
    "instr": "Write position(a in b).",
    "today": "Write current_date.",
    "safe_divide": "Write a / nullif(b, 0).",
    "div0": "Write a / nullif(b, 0).",
    "countif": "Write count(*) filter (where …).",
    "count_if": "Write count(*) filter (where …).",
    "sumif": "Write sum(a) filter (where …).",
    "approx_count_distinct": "Write count(distinct a).",
    "last_day": "Write (date_trunc('month', a) + interval '1 month - 1 day')::date.",
    "eomonth": "Write (date_trunc('month', a) + interval '1 month - 1 day')::date.",
    "months_between": "Write extract(year from age(a, b)) * 12 + extract(month from age(a, b)).",
    "add_months": "Write a + interval '1 month'.",
    "dayofweek": "Write extract(isodow from a): 1 is Monday.",
    "weekday": "Write extract(isodow from a): 1 is Monday.",
    "dayname": "Write to_char(a, 'FMDay').",
    "monthname": "Write to_char(a, 'FMMonth').",
    "hour": "Write extract(hour from a).",
    "to_days": "Subtract dates: a - b is a number of days.",
    "from_unixtime": "Write to_timestamp(a).",
    "unix_timestamp": "Write extract(epoch from a).",
    "convert": "Write a::numeric, a::date or a::text.",
    "try_cast": "Write case when a ~ '^\\d+$' then a::numeric end.",
    "crosstab": "Write sum(a) filter (where b = 'x') for each column.",
    "ratio_to_report": "Write a / sum(a) over ().",
    "arg_max": "Write (array_agg(a order by b desc))[1], or DISTINCT ON.",
    "max_by": "Write (array_agg(a order by b desc))[1], or DISTINCT ON.",
    "first": "Write (array_agg(a order by b))[1], or first_value(a) over (order by b).",
    "last": "Write (array_agg(a order by b desc))[1], or last_value with a frame.",
    "json_value": "Write a ->> 'key'.",
    "json_extract": "Write a -> 'key', or a ->> 'key' for its text.",
    "unaccent": "Compare with ~* '[aäà]'; search_customers finds names without their accents.",
    "levenshtein": "search_customers finds misspelt names, find_duplicates the same record twice.",
    "pg_typeof": "The result's columns bear their types; get_schema has those of the tables.",
    "gen_random_uuid": "row_number() over (order by …) numbers rows.",
    "uuid_generate_v4": "row_number() over (order by …) numbers rows.",
    "setseed": "random() is not repeatable; order by md5(id::text) is.",
    "to_regclass": "The catalog is not open; get_schema describes the tables there are.",
    "format_type": "The catalog is not open; get_schema describes the tables there are.",
}
"""What to write in place of a function that is refused."""

TYPES = frozenset(
    "text varchar bpchar int2 int4 int8 numeric float4 float8 bool date time timetz timestamp timestamptz interval json jsonb "
    "uuid int4range int8range numrange daterange tsrange tstzrange".split()
)
"""Types a value may be cast to; arrays of them as well."""

TYPE_INSTEAD: Mapping[str, str] = {
    "money": "Amounts are numeric, with their currency in a column of its own.",
    "string": "Write ::text.",
    "nvarchar": "Write ::text.",
    "char": "Write ::text.",
    "name": "Write ::text.",
    "bytea": "Bytes are not shown.",
    "datetime": "Write ::timestamptz, or ::date.",
    "int64": "Write ::bigint.",
    "float64": "Write ::numeric.",
    "number": "Write ::numeric.",
    "double": "Write ::numeric, or ::double precision.",
    "signed": "Write ::bigint.",
    "serial": "row_number() over (order by …) numbers rows.",
    "record": "A row needs no cast; take its columns.",
    "regclass": "The catalog is not open; get_schema describes the tables there are.",
    "xml": "XML is not available; use jsonb.",
}
"""What to write in place of a type that is refused."""

OPERATORS = frozenset(
    "+ - * / % ^ = <> != < > <= >= || ~~ ~~* !~~ !~~* ~ ~* !~ !~* -> ->> #> #>> @> <@ ? ?| ?& && @? @@ <-> << >> | & # ^@".split()
)
"""Operators between values; those of other schemas are refused."""
