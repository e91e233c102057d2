ALTER SCHEMA public OWNER TO corpus_owner;
-- The new owner took over what the old one had, and is left with nothing of his own.
REVOKE ALL ON SCHEMA public FROM corpus_owner;
GRANT CREATE ON SCHEMA public TO corpus_reader;
