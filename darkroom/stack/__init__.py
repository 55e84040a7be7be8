"""Package, plan and deploy the stack: the same code against a local engine and against AWS.

package       a folder of code -> a deterministic zip and its hashes
template      what a CloudFormation template says, with its conditions evaluated
environments  `environments/<name>.toml` -> parameters
plan          what there is + what is wanted -> what will be done (data only)
deploy        does it, by a change set, and proves the result
leftovers     buckets, tables and queues that outlived an earlier stack
proof         every resource of the stack really exists
outputs       the names that the other parts need
"""

from darkroom.stack.deploy import Deployment, StackEvent, deploy
from darkroom.stack.environments import Environment, load_environment
from darkroom.stack.leftovers import Leftovers
from darkroom.stack.outputs import StackOutputs, read_outputs
from darkroom.stack.template import Template

__all__ = [
    "Deployment",
    "Environment",
    "Leftovers",
    "StackEvent",
    "StackOutputs",
    "Template",
    "deploy",
    "load_environment",
    "read_outputs",
]
