"""One turn of splink over the file that benchmarks/duplicates.py wrote: DuckDB on one thread, trained without labels.

Runs in whichever environment has splink, so it imports nothing of ours. The model follows splink's own guide for
persons: its ready-made comparisons, term frequencies on names, u by random sampling, m by expectation maximisation
over two blocks. Mailboxes and numbers are cleaned in SQL first, as one would.
"""

import json
import logging
import resource
import sys
import time
import warnings

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.6
READ = """create table persons as select id as unique_id, nullif(lower(given), '') as given,
  nullif(lower(family), '') as family, lower(given || ' ' || family) as full_name,
  nullif(regexp_replace(lower(email), '\\+[^@]*@', '@'), '') as email,
  nullif(right(regexp_replace(phone, '[^0-9]', '', 'g'), 9), '') as phone, nullif(born, '') as born,
  nullif(lower(replace(street, 'St.', 'Street')), '') as street, nullif(lower(city), '') as city,
  nullif(code, '') as code
 from read_csv(?, header = true, all_varchar = true, nullstr = '\\N')"""
BLOCKS = [
    block_on("email"),
    block_on("phone"),
    block_on("given", "family"),
    block_on("family", "code"),
    block_on("given", "code"),
    block_on("born", "given"),
    block_on("born", "family"),
    block_on("street", "code"),
    "l.given = r.family and l.family = r.given",
    block_on("substr(family, 1, 5)", "substr(given, 1, 2)"),
]


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    began, spent = time.perf_counter(), time.process_time()
    database = duckdb.connect(config={"threads": 1})
    database.execute(READ, [sys.argv[1]])
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        blocking_rules_to_generate_predictions=BLOCKS,
        comparisons=[
            cl.ForenameSurnameComparison("given", "family", forename_surname_concat_col_name="full_name"),
            cl.EmailComparison("email"),
            cl.LevenshteinAtThresholds("phone", 1),
            cl.DateOfBirthComparison("born", input_is_string=True),
            cl.JaroWinklerAtThresholds("street", [0.9]),
            cl.LevenshteinAtThresholds("city", 2),
            cl.LevenshteinAtThresholds("code", 1),
        ],
    )
    api = DuckDBAPI(connection=database)
    linker = Linker(api.register("persons"), settings)
    linker.training.estimate_probability_two_random_records_match([block_on("email"), block_on("phone")], recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("given", "family"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("email"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("phone"))
    predicted = linker.inference.predict(threshold_match_probability=THRESHOLD)
    found = database.execute(
        f"select unique_id_l, unique_id_r, match_probability from {predicted.physical_name}"
    ).fetchall()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu": time.process_time() - spent,
                "peakMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "pairs": found,
                "threshold": THRESHOLD,
            }
        )
    )


if __name__ == "__main__":
    main()
