CREATE DOMAIN grade AS varchar(10) CHECK (VALUE IN ('good', 'bad'));
CREATE TABLE orders (
  id int PRIMARY KEY,
  status varchar(20) NOT NULL CHECK (status IN ('open', 'it''s, ] closed', 'lost')),
  place varchar CHECK (place NOT IN ('nowhere', 'here')),
  quality grade,
  is_open boolean GENERATED ALWAYS AS (status IN ('open', 'lost')) STORED
);
CREATE INDEX orders_unfinished ON orders (status) WHERE status IN ('open', 'lost');
CREATE VIEW unfinished AS SELECT id FROM orders WHERE status IN ('open', 'lost');
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_unfinished ON orders USING (status IN ('open', 'lost'));
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM orders WHERE status IN ('open', 'lost');
