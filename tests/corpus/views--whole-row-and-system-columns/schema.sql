CREATE TABLE wr (a int, b text); CREATE VIEW wrv AS SELECT wr AS w, ctid, tableoid::regclass AS t FROM wr; CREATE VIEW wrv2 AS SELECT (w).a FROM wrv;
