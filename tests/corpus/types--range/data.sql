INSERT INTO frt VALUES ('[1,2)', '{[1,2),[3,4)}', '[a,b]');
