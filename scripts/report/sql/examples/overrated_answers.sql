-- The answers that the reward model likes better than SFT's to the same prompt while the gold reward likes them less;
-- first those that the two judge most differently. None where a study has no gold reward.
SELECT
    answer.policy,
    prompt[-1].content AS question,
    round(answer.reward - baseline.reward, 3) AS reward_gained,
    round(baseline.gold - answer.gold, 3) AS gold_lost,  -- equal gold rewards may differ in the last bit
    answer.characters - baseline.characters AS characters_gained,
    baseline.response AS sft_response,
    answer.response
FROM measures AS answer
JOIN measures AS baseline ON baseline.prompt_id = answer.prompt_id AND baseline.policy = 'sft'
JOIN prompts ON prompts.prompt_id = answer.prompt_id AND prompt_set = 'held_out'
WHERE reward_gained > 0 AND gold_lost > 0
ORDER BY reward_gained + gold_lost DESC, answer.policy, answer.prompt_id;
