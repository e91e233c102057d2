CREATE TABLE doc (id int, body text, v tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED); CREATE INDEX doc_v ON doc USING gin (v);
