"""What no unit caused and jobs pay for all the same: loading, idle time, people.

Read `charge` first (loading, and runs by themselves), then `month_use` (the weights), `idle`, `expected_use`
and `people`.
"""
