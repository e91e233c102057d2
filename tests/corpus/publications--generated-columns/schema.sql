CREATE TABLE pgc (a int PRIMARY KEY, g int GENERATED ALWAYS AS (a) STORED); CREATE PUBLICATION pbg FOR TABLE pgc WITH (publish_generated_columns = stored);
