CREATE TABLE rg (a int); GRANT SELECT ON rg TO corpus_owner WITH GRANT OPTION; SET ROLE corpus_owner; GRANT SELECT ON rg TO corpus_reader; RESET ROLE;
