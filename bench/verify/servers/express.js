// express-rate-limit: 5 in 2 s for each address, the window opened by the first.
const express = require('express');
const { rateLimit } = require('express-rate-limit');
const app = express();
app.use(rateLimit({ windowMs: 2000, limit: 5, standardHeaders: 'draft-6', legacyHeaders: false }));
app.get('/', (req, res) => res.send('ok'));
app.listen(Number(process.argv[2]), '127.0.0.1');
