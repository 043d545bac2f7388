# Rack::Attack, one throttle: ruby attack.rb PORT LIMIT SECONDS, or
# ruby attack.rb PORT LIMIT SECONDS ban SECONDS for allow2ban.
require 'active_support'
require 'active_support/cache'
require 'active_support/core_ext/numeric/time'
require 'rack'
require 'rack/attack'
require 'webrick'

port, limit, period = ARGV[0].to_i, ARGV[1].to_i, ARGV[2].to_f
Rack::Attack.cache.store = ActiveSupport::Cache::MemoryStore.new
if ARGV[3] == 'ban'
  Rack::Attack.blocklist('all') { |req| Rack::Attack::Allow2Ban.filter('all', maxretry: limit, findtime: period, bantime: ARGV[4].to_f) { true } }
else
  Rack::Attack.throttle('all', limit: limit, period: period) { |req| 'all' }
end
app = Rack::Attack.new(->(env) { [200, { 'Content-Type' => 'text/plain' }, ['ok']] })
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: port, Logger: WEBrick::Log.new(nil, 0), AccessLog: [])
server.mount_proc('/') do |req, res|
  status, headers, body = app.call(Rack::MockRequest.env_for(req.path, 'REMOTE_ADDR' => req.peeraddr[3]))
  res.status = status
  headers.each { |k, v| res[k] = v }
  res.body = +''
  body.each { |part| res.body << part }
end
trap('INT') { server.shutdown }
server.start
