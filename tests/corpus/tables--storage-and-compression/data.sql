INSERT INTO toasty VALUES ('x', repeat('long ',20000), convert_to(repeat('y',9000),'UTF8'));
