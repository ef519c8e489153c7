# The lines of the documentation, with this server and the partner acme filled in. A refresh token is
# good for one use (and for the same answer again within a minute), so paste its successor next time.

# v4: a new pair for the user u1
curl --request POST --url {{.URL}}/rest/v4/auth/token --header 'Authorization: Bearer {{.Access}}' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id=acme --data client_secret={{.Secret}} --data grant_type=refresh_token --data refresh_token={{.Refresh}} --data code= --data userId=

# v5: a first pair for the accountant a1
curl --request POST --url {{.URL}}/rest/v5/accountant/token --header 'Authorization: Bearer {{.Access}}' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id=acme --data client_secret={{.Secret}} --data grant_type=client_credentials --data refresh_token= --data code= --data userId=a1

# v5: a first pair for the user u2
curl --request POST --url {{.URL}}/rest/v5/auth/token --header 'Authorization: Bearer {{.Access}}' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id=acme --data client_secret={{.Secret}} --data grant_type=client_credentials --data refresh_token= --data code= --data userId=u2

# v5: the accountant a1 opens the account of the user u1
curl --request POST --url {{.URL}}/rest/v5/accountant/userToken --header 'Authorization: Bearer {{.Accountant}}' --header 'Content-Type: application/x-www-form-urlencoded' --data userId=u1

# whose is a token?
curl --url {{.URL}}/api/whoami --header 'Authorization: Bearer {{.Access}}'
