CREATE EXTENSION citext; CREATE TABLE cx (e citext PRIMARY KEY, d citext[]); CREATE DOMAIN email AS citext CHECK (VALUE ~ '@');
