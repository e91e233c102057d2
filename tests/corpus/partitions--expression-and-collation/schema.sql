CREATE TABLE pec (t text) PARTITION BY RANGE (lower(t) COLLATE "C" text_pattern_ops); CREATE TABLE pec1 PARTITION OF pec FOR VALUES FROM ('a') TO ('m');
