-- How many pairs of a mix are for training and how many are held out.
SELECT split, count(*) AS pairs
FROM mix_of_pairs
GROUP BY split
ORDER BY split;
