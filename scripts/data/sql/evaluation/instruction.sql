-- AlpacaEval: an instruction with the outputs that are compared.
CREATE TABLE layout (instruction VARCHAR);

SELECT instruction AS prompt
FROM raw;
