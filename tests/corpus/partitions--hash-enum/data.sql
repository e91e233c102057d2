INSERT INTO phe VALUES ('sad'),('ok'),('happy');
