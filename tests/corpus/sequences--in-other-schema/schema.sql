CREATE SCHEMA sq; CREATE SEQUENCE sq."S 1" START 7; CREATE TABLE sqt (a int DEFAULT nextval('sq."S 1"'::regclass));
