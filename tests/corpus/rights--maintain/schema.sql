CREATE TABLE rm (a int); GRANT MAINTAIN ON rm TO corpus_reader; GRANT ALL ON rm TO corpus_owner;
