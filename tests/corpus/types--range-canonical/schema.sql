CREATE TYPE crange; CREATE FUNCTION crange_c(crange) RETURNS crange LANGUAGE internal IMMUTABLE STRICT AS 'int4range_canonical'; CREATE TYPE crange AS RANGE (SUBTYPE = int, CANONICAL = crange_c);
