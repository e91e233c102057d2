CREATE TABLE gpk (id int PRIMARY KEY, name text); CREATE VIEW gpk_v AS SELECT id, name, count(*) AS n FROM gpk GROUP BY id; CREATE MATERIALIZED VIEW gpk_m AS SELECT id, name FROM gpk GROUP BY id;
