CREATE SEQUENCE shared_s; CREATE TABLE sh1 (a int DEFAULT nextval('shared_s')); CREATE TABLE sh2 (a int DEFAULT nextval('shared_s'));
