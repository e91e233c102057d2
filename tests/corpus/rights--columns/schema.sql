CREATE TABLE rc (a int, b int, "C c" text); GRANT SELECT (a, "C c"), UPDATE (b) ON rc TO corpus_reader; GRANT INSERT (a) ON rc TO PUBLIC; GRANT REFERENCES (a) ON rc TO corpus_owner WITH GRANT OPTION;
GRANT SELECT (ctid, xmin) ON rc TO corpus_reader; GRANT SELECT (tableoid) ON pg_catalog.pg_proc TO PUBLIC;
