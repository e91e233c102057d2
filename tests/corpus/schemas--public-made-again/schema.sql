-- A new database lets everybody use public; this one does not.
DROP SCHEMA public;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO corpus_reader;
CREATE TABLE public.t (id int PRIMARY KEY);
