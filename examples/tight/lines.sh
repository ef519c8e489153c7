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

# v5: the user u2 lets the partner in, in a browser, signed in with the password above: the address that
# it ends at has a code in it, to be exchanged with grant_type=authorization_code
#   {{.URL}}/oauth/authorize?response_type=code&client_id=acme&redirect_uri=https%3A%2F%2Facme.example%2Fcallback&state=xyz

# whose is a token?
curl --url {{.URL}}/api/whoami --header 'Authorization: Bearer {{.Access}}'
