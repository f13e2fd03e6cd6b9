-- Health of a TrainingJob or TrainingFleet for Argo CD. Only the base library of Lua 5.1 is available.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function told(name)
  local condition = conditions[name]
  if condition.message == nil or condition.message == "" then
    return condition.reason
  end
  return condition.reason .. ": " .. condition.message
end

if status.observedGeneration == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not seen this spec yet"}
end
if holds("Suspended") then
  return {status = "Suspended", message = told("Suspended")}
end
-- A request does not change the generation. The operator keeps its first 256 characters.
local function unseen(annotation, observed)
  local requested = (obj.metadata.annotations or {})[annotation] or ""
  return requested ~= "" and #requested <= 256 and requested ~= observed
end

if unseen("training.pumphealth.io/retrain-requested-at", status.observedRetrainRequest) then
  return {status = "Progressing", message = "The operator has not seen this retrain request yet"}
end
if obj.kind == "TrainingFleet"
  and unseen("training.pumphealth.io/retry-failed-requested-at", status.observedRetryFailedRequest) then
  return {status = "Progressing", message = "The operator has not seen this request to retry failed machines yet"}
end
if holds("Succeeded") then
  if status.summary ~= nil then
    return {status = "Healthy", message = conditions.Succeeded.reason .. ": " .. status.summary}
  end
  return {status = "Healthy", message = told("Succeeded")}
end
if holds("Failed") then
  return {status = "Degraded", message = told("Failed")}
end
if conditions.Succeeded == nil then
  return {status = "Progressing", message = "The operator has said nothing yet"}
end
-- A TrainingFleet waits for its first scheduled run.
if conditions.Succeeded.reason == "Scheduled" then
  return {status = "Healthy", message = told("Succeeded")}
end
if status.progress ~= nil and status.progress.display ~= nil then
  return {status = "Progressing", message = status.progress.display .. " " .. told("Succeeded")}
end
return {status = "Progressing", message = told("Succeeded")}
