"""From here to AWS: plan, gates, deploy, smoke test, and the way back. The same code for the real AWS and a stand-in.

access     which credentials may go where
preflight  what must hold before anything is asked of CloudFormation
lock       one deployment at a time
history    what was deployed when, by whom, with which results
gates      the results without which nothing is deployed
smoke      a picture's way through the deployed stack
promote    plan, deploy, roll back, destroy
"""
