CREATE TABLE raw (a text); COMMENT ON TABLE raw IS E'\xe9\xff';
