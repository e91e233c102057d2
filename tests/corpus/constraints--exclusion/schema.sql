CREATE TABLE ex (r int4range, c circle, EXCLUDE USING gist (r WITH &&) WHERE (NOT isempty(r)) DEFERRABLE, CONSTRAINT "ex ""q""" EXCLUDE USING gist (c WITH &&));
