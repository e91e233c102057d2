CREATE TYPE shelly; COMMENT ON TYPE shelly IS 'to be';
