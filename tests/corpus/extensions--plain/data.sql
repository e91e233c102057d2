INSERT INTO et VALUES ('a=>1, b=>NULL', 'hello');
