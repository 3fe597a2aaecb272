"""The flight recommendation service that scripts/main.py starts.

catalog         what the store holds: routes, dates, names of airports and airlines
recommendation  the statistic: how punctual each flight of a day has been
query           what is asked, and refusals
web             the HTTP interface and the page
serving         socket, signals, and a request to oneself
process_age     how long the start took
"""

from flights.process_age import process_age

# Seconds from the start of the process to here: the data is loaded, no package of the service imported yet.
LOADED_WITHIN = process_age()
